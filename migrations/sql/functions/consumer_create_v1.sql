-- Makes a consumer group, or changes one: all but its ordering may change, and holds from the next
-- receive on; another query for what comes after the checkpoint. `_start` counts only when it is made:
-- events after that position are delivered; NULL: those that come from now on. Gives whether it was
-- made. `_member` is the worker that runs it as its reactor, from now on. ST011: it is there with another
-- ordering, or workers run it and somebody else would change it. ST004: something cannot be as given.
CREATE FUNCTION eventstore.consumer_create_v1(
    _group    text,
    _query    jsonb            DEFAULT '{"any_of": [{}]}',
    _start    bigint           DEFAULT 0,
    _ordering text             DEFAULT 'stream',
    _buffer   integer          DEFAULT 200,
    _lease    double precision DEFAULT 30,
    _retries  integer          DEFAULT 5,
    _backoff  double precision DEFAULT 1,
    _after    text[]           DEFAULT '{}',
    _member   text             DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
AS $$
DECLARE
    _of    eventstore.consumer_groups;
    _epoch integer;
    _head  bigint;
    _fault text := eventstore.query_fault_v1(_query);
BEGIN
    SELECT coalesce(max(e.position), 0) INTO _head FROM eventstore.events AS e;
    SELECT l.epoch INTO STRICT _epoch FROM eventstore.log AS l;
    _after := ARRAY(SELECT DISTINCT p FROM unnest(_after) AS p ORDER BY 1);
    SELECT * INTO _of FROM eventstore.consumer_groups AS g WHERE g.consumer_group = _group FOR UPDATE;
    _fault := CASE
        WHEN _fault IS NOT NULL THEN 'query: ' || _fault
        WHEN _of.consumer_group IS NULL AND _start NOT BETWEEN 0 AND _head
            THEN format('start is a position of the log, 0 to its head %s: %s', _head, _start)
        ELSE (SELECT format('after: there is no projection %L; there are %s; one is known once its worker has started', p,
                            coalesce((SELECT string_agg(DISTINCT v.projection, ', ') FROM eventstore.projection_versions AS v), 'none'))
                FROM unnest(_after) AS p
               WHERE NOT EXISTS (SELECT FROM eventstore.projection_versions AS v WHERE v.projection = p) LIMIT 1) END;
    IF _fault IS NOT NULL THEN
        _fault := format('consumer group "%s": %s', _group, _fault);
        RAISE EXCEPTION '%', _fault USING ERRCODE = 'ST004', DETAIL = jsonb_build_object('problem', _fault);
    END IF;
    IF _of.consumer_group IS NULL THEN
        INSERT INTO eventstore.consumer_groups AS g (consumer_group, query, ordering, buffer, lease_seconds,
                                                     retries, backoff_seconds, after, checkpoint, epoch)
        VALUES (_group, _query, _ordering, _buffer, _lease, _retries, _backoff, _after, coalesce(_start, _head), _epoch)
        ON CONFLICT (consumer_group) DO NOTHING;
        IF FOUND THEN
            IF _member IS NOT NULL THEN
                PERFORM eventstore.consumer_seen_v1(_group, _member, _lease);
            END IF;
            RETURN true;
        END IF;
        -- Somebody else made it in this very moment.
        SELECT * INTO STRICT _of FROM eventstore.consumer_groups AS g WHERE g.consumer_group = _group FOR UPDATE;
    END IF;
    IF _of.ordering <> _ordering THEN
        RAISE EXCEPTION 'consumer group "%" is there with another ordering: %', _group, _of.ordering
            USING ERRCODE = 'ST011',
                  HINT = 'give the new one another name, or delete this one with all that it has not delivered yet';
    END IF;
    IF (_of.query, _of.buffer, _of.lease_seconds, _of.retries, _of.backoff_seconds, _of.after)
       IS DISTINCT FROM (_query, _buffer, _lease, _retries, _backoff, _after)
    THEN
        IF _member IS NULL THEN
            PERFORM eventstore.consumer_unrun_v1(_group);
        END IF;
        UPDATE eventstore.consumer_groups AS g
           SET query = _query, buffer = _buffer, lease_seconds = _lease, retries = _retries, backoff_seconds = _backoff, after = _after
         WHERE g.consumer_group = _group;
    END IF;
    IF _member IS NOT NULL THEN
        PERFORM eventstore.consumer_seen_v1(_group, _member, _lease);
    END IF;
    RETURN false;
END $$;
