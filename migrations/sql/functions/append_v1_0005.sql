-- Append a batch of requests in one call. Each request is stored as a whole or not at all; a
-- refused one is reported in the result and does not hold up the others.
--
-- Arrays in, one row for each append out, so that the statement's text never depends on the batch:
--   request 1..n owns appends (_append_request), an append owns events (_event_append), both in
--   ascending order. _append_expected: >= 0 that revision, -1 no stream, -2 any, -3 stream exists.
--   A stream may be named again in a batch only with -2. _event_tags: text[] literals or NULL, sorted.
--   _look_up_ids: false only if every id was made for this call.
--
-- The row of `log` is the append lock, held until the transaction ends. Positions follow from the
-- table itself: the head is max(position), read by a statement that begins after the lock is held
-- and so sees every earlier append. Nothing is counted up or drawn beside the events: no gaps, no
-- dead row versions however long some other transaction runs.
CREATE OR REPLACE FUNCTION eventstore.append_v1(
    _append_request    integer[],
    _append_stream     text[],
    _append_expected   bigint[],
    _event_append      integer[],
    _event_id          uuid[],
    _event_type        text[],
    _event_data        jsonb[],
    _event_metadata    jsonb[],
    _event_tags        text[]    DEFAULT NULL,
    _look_up_ids       boolean   DEFAULT true,
    _condition_request integer[] DEFAULT NULL,
    _condition_query   jsonb[]   DEFAULT NULL,
    _condition_after   bigint[]  DEFAULT NULL
) RETURNS TABLE (outcome text, first_revision bigint, revision bigint, "position" bigint, facts jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '5s'
SET plan_cache_mode = force_generic_plan  -- else every call plans again: arrays of known length look cheaper
SET enable_seqscan = off                  -- a plan made while the log was small is kept
AS $$
DECLARE
    _head        bigint;
    _repeats     boolean;    -- some stream is named more than once
    -- Of each append:
    _stream_head bigint[];   -- revision of the stream's last event before it; -1 without events
    _live        boolean[];  -- it will be stored
    _start       bigint[];   -- events of the batch before its own
    _size        bigint[];   -- events of its own
    _base        bigint[];   -- its first event's position less 1 less _start; NULL: _head for all
    _result      jsonb[];    -- if not live: {outcome, first_revision, revision, position, facts}
    _well_formed boolean;
    _fault       text;
    _refusal     jsonb;
    _unsure      boolean;    -- some append may not be stored
    _condition_before bigint[];
    _now         timestamptz;
BEGIN
    -- Every writer may call this function. With other bounds a subscript would be another element than
    -- unnest gives, and with more dimensions there would be more elements than subscripts.
    IF (array_ndims(_append_request) = 1 AND array_lower(_append_request, 1) = 1 AND array_position(_append_request, NULL) IS NULL
        AND array_ndims(_append_stream) = 1 AND array_lower(_append_stream, 1) = 1 AND array_position(_append_stream, NULL) IS NULL
        AND array_ndims(_append_expected) = 1 AND array_lower(_append_expected, 1) = 1 AND array_position(_append_expected, NULL) IS NULL
        AND array_ndims(_event_append) = 1 AND array_lower(_event_append, 1) = 1 AND array_position(_event_append, NULL) IS NULL
        AND array_ndims(_event_id) = 1 AND array_lower(_event_id, 1) = 1 AND array_position(_event_id, NULL) IS NULL
        AND array_ndims(_event_type) = 1 AND array_lower(_event_type, 1) = 1 AND array_position(_event_type, NULL) IS NULL
        AND array_ndims(_event_data) = 1 AND array_lower(_event_data, 1) = 1 AND array_position(_event_data, NULL) IS NULL
        AND array_ndims(_event_metadata) = 1 AND array_lower(_event_metadata, 1) = 1 AND array_position(_event_metadata, NULL) IS NULL
        AND (_event_tags IS NULL OR array_ndims(_event_tags) = 1 AND array_lower(_event_tags, 1) = 1)
        AND cardinality(_append_request) = cardinality(_append_stream)
        AND cardinality(_append_expected) = cardinality(_append_stream)
        AND cardinality(_event_id) = cardinality(_event_append)
        AND cardinality(_event_type) = cardinality(_event_append)
        AND cardinality(_event_data) = cardinality(_event_append)
        AND cardinality(_event_metadata) = cardinality(_event_append)
        AND (_event_tags IS NULL OR cardinality(_event_tags) = cardinality(_event_append))) IS NOT TRUE
    THEN
        _refusal := '{"problem": "the arrays of append_v1 do not fit together: every append has events, which come in the order of the appends"}';
    ELSIF cardinality(_event_append) > 10000 THEN
        _refusal := '{"problem": "an append has at most 10000 events"}';
    ELSE
        _refusal := eventstore.append_fault_v1(_append_stream, _event_type, _event_data, _event_metadata, _event_tags);
    END IF;
    IF _refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', concat_ws(': ', _refusal ->> 'path', _refusal ->> 'problem')
            USING ERRCODE = 'ST004', DETAIL = _refusal;
    END IF;

    IF _condition_request IS NOT NULL OR _condition_query IS NOT NULL THEN
        -- A condition that cannot be understood would find nothing, and so hold.
        SELECT CASE WHEN c.request = ANY (_append_request) THEN
                    CASE WHEN c.after IS NULL THEN 'a position to look after is needed'
                         ELSE eventstore.query_fault_v1(c.query) END
               ELSE 'it is for no request of the batch' END
          INTO _fault
          FROM unnest(_condition_request, _condition_query, _condition_after) AS c(request, query, after)
         ORDER BY 1 NULLS LAST LIMIT 1;
        IF _fault IS NOT NULL THEN
            RAISE EXCEPTION 'append condition: %', _fault USING ERRCODE = 'ST004',
                DETAIL = jsonb_build_object('problem', 'append condition: ' || _fault);
        END IF;
    END IF;

    -- Dense revisions and positions rest on events that come in the order of their appends, without
    -- holes.
    SELECT array_agg(s.first - 1 ORDER BY s.first), array_agg(s.next - s.first ORDER BY s.first),
           count(*) = cardinality(_append_stream) AND min(s.first) = 1 AND bool_and(s.append = s.number)
      INTO _start, _size, _well_formed
      FROM (SELECT e.append, e.n AS first, row_number() OVER w AS number,
                   lead(e.n, 1, cardinality(_event_append) + 1::bigint) OVER w AS next
              FROM unnest(_event_append) WITH ORDINALITY AS e(append, n)
             WHERE e.append IS DISTINCT FROM _event_append[e.n - 1]  -- the first event of its append
            WINDOW w AS (ORDER BY e.n)) AS s;

    IF _condition_request IS NOT NULL THEN
        -- All of history without the lock: under it only what has come since is looked at, or again
        -- the one event that was found.
        SELECT coalesce(max(e.position), 0) INTO _head FROM eventstore.events AS e;
        SELECT array_agg(coalesce(m.position - 1, greatest(c.after, _head)) ORDER BY c.n),
               array_agg(coalesce(m.position + 1, 9223372036854775807) ORDER BY c.n)
          INTO _condition_after, _condition_before
          FROM unnest(_condition_query, _condition_after) WITH ORDINALITY AS c(query, after, n)
          LEFT JOIN LATERAL eventstore.matching_v1(c.query, c.after, _head + 1, 1) AS m ON true;
    END IF;

    PERFORM FROM eventstore.log FOR UPDATE;

    SELECT (SELECT coalesce(max(e.position), 0) FROM eventstore.events AS e),
           count(DISTINCT a.stream) < count(*),
           array_agg(h.head ORDER BY a.n),
           array_agg(CASE a.expected WHEN -2 THEN true WHEN -3 THEN h.head >= 0
                                     ELSE h.head = a.expected END ORDER BY a.n),
           _well_formed AND bool_and(a.expected >= -3 AND a.request - coalesce(_append_request[a.n - 1], 0)
                                     BETWEEN CASE a.n WHEN 1 THEN 1 ELSE 0 END AND 1)
      INTO _head, _repeats, _stream_head, _live, _well_formed
      FROM unnest(_append_request, _append_stream, _append_expected) WITH ORDINALITY AS a(request, stream, expected, n)
     CROSS JOIN LATERAL (
        SELECT coalesce((SELECT e.revision FROM eventstore.events AS e
                          WHERE e.stream_name = a.stream
                          ORDER BY e.stream_name DESC, e.revision DESC LIMIT 1), -1)) AS h(head);
    IF _repeats AND _well_formed THEN
        SELECT bool_and(a.time = 1 OR a.expected = -2) INTO _well_formed
          FROM (SELECT u.expected, row_number() OVER (PARTITION BY u.stream ORDER BY u.n) AS time
                  FROM unnest(_append_stream, _append_expected) WITH ORDINALITY AS u(stream, expected, n)) AS a;
    END IF;
    IF NOT _well_formed THEN
        RAISE EXCEPTION 'the arrays of append_v1 do not fit together' USING ERRCODE = 'ST004',
            DETAIL = '{"problem": "the arrays of append_v1 do not fit together: every append has events, which come in the '
                     'order of the appends, as these do in that of the requests, and a stream is named again only with -2"}';
    END IF;

    _unsure := false = ANY (_live) OR _condition_request IS NOT NULL;
    IF _look_up_ids AND NOT _unsure THEN
        _unsure := EXISTS (SELECT FROM eventstore.events AS e WHERE e.event_id = ANY (_event_id));
    END IF;
    IF _unsure THEN
        SELECT array_agg(r.result IS NULL ORDER BY r.append), array_agg(r.result ORDER BY r.append)
          INTO _live, _result
          FROM eventstore.append_refusals_v2(
                _append_request, _append_stream, _append_expected, _stream_head, _live, _event_append,
                _event_id, _event_type, _event_data, _event_tags, _look_up_ids,
                _condition_request, _condition_query, _condition_after, _condition_before) AS r;
    END IF;

    IF _repeats OR false = ANY (_live) THEN
        SELECT array_agg(_head - p.refused ORDER BY p.n), array_agg(_stream_head[p.n] + p.earlier ORDER BY p.n)
          INTO _base, _stream_head
          FROM (SELECT a.n,
                       coalesce(sum(a.size) FILTER (WHERE NOT a.live) OVER (ORDER BY a.n), 0) AS refused,
                       coalesce(sum(a.size) FILTER (WHERE a.live) OVER (
                           PARTITION BY a.stream ORDER BY a.n
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier
                  FROM unnest(_append_stream, _live, _size) WITH ORDINALITY AS a(stream, live, size, n)) AS p;
    END IF;

    _now := clock_timestamp();
    INSERT INTO eventstore.events
           (position, revision, recorded_at, event_id, stream_name, event_type, data, metadata, tags)
    SELECT coalesce(_base[e.append], _head) + e.n,
           _stream_head[e.append] + e.n - _start[e.append],
           _now, e.id, _append_stream[e.append], e.type, e.data, e.metadata, coalesce(e.tags, '{}')::text[]
      FROM unnest(_event_append, _event_id, _event_type, _event_data, _event_metadata, _event_tags)
           WITH ORDINALITY AS e(append, id, type, data, metadata, tags, n)
     WHERE _live[e.append];

    IF _event_tags IS NOT NULL THEN
        INSERT INTO eventstore.event_tags (tag, position)
        SELECT DISTINCT t.tag, coalesce(_base[e.append], _head) + e.n
          FROM unnest(_event_append, _event_tags) WITH ORDINALITY AS e(append, tags, n)
         CROSS JOIN LATERAL unnest(e.tags::text[]) AS t(tag)
         WHERE _live[e.append];
    END IF;

    IF _result IS NULL THEN  -- nothing was refused: nearly always
        RETURN QUERY
        SELECT 'appended', _stream_head[a.n] + 1, _stream_head[a.n] + a.size,
               coalesce(_base[a.n], _head) + _start[a.n] + a.size, NULL::jsonb
          FROM unnest(_size) WITH ORDINALITY AS a(size, n)
         ORDER BY a.n;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT CASE WHEN _live[a.n] THEN 'appended' ELSE a.result ->> 'outcome' END,
           CASE WHEN _live[a.n] THEN _stream_head[a.n] + 1 ELSE (a.result ->> 'first_revision')::bigint END,
           CASE WHEN _live[a.n] THEN _stream_head[a.n] + a.size ELSE (a.result ->> 'revision')::bigint END,
           CASE WHEN _live[a.n] THEN coalesce(_base[a.n], _head) + _start[a.n] + a.size
                ELSE (a.result ->> 'position')::bigint END,
           a.result -> 'facts'
      FROM unnest(_size, _result) WITH ORDINALITY AS a(size, result, n)
     ORDER BY a.n;
END $$;
