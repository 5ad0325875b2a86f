-- For operators: leave the event out on which a parked stream waits, for good, and go on with what
-- comes after it; or the one at which the projection has stopped, which then can be resumed. Gives
-- the position of the event, NULL if the stream is not parked.
CREATE FUNCTION eventstore.skip_parked(projection text, stream_name text, version integer DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _failure eventstore.projection_failures;
BEGIN
    -- Not while a batch is under way: it could pass over an event that is appended meanwhile.
    PERFORM FROM eventstore.projection_versions AS v
      JOIN eventstore.projection_partitions AS p ON p.projection = v.projection AND p.version = v.version
     WHERE v.projection = skip_parked.projection
       AND CASE WHEN skip_parked.version IS NULL THEN v.serving ELSE v.version = skip_parked.version END
       AND p.partition = eventstore.partition_of(skip_parked.stream_name, v.partitions)
       FOR NO KEY UPDATE OF p;
    SELECT f.* INTO _failure
      FROM eventstore.projection_versions AS v
      JOIN eventstore.projection_failures AS f ON f.projection = v.projection AND f.version = v.version
     WHERE v.projection = skip_parked.projection
       AND CASE WHEN skip_parked.version IS NULL THEN v.serving ELSE v.version = skip_parked.version END
       AND f.state IN ('parked', 'stopped') AND f.stream_name = skip_parked.stream_name
       FOR UPDATE OF f;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE eventstore.projection_failures AS f SET state = 'skipped'
     WHERE f.projection = _failure.projection AND f.version = _failure.version
       AND f.position = _failure.position;
    IF _failure.state = 'stopped' THEN
        RETURN _failure.position;  -- nothing is held back behind it
    END IF;
    -- What was held back behind it: from the stream's next event on, if there is one already.
    INSERT INTO eventstore.projection_failures (projection, version, stream_name, revision, position, state, error, attempts)
    SELECT _failure.projection, _failure.version, e.stream_name, e.revision, e.position, 'retrying',
           'held back behind position ' || _failure.position, 0
      FROM eventstore.events AS e
     WHERE e.stream_name = _failure.stream_name AND e.revision = _failure.revision + 1;
    RETURN _failure.position;
END $$;
