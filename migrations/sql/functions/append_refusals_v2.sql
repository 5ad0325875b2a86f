-- The seldom part of append_v1: which appends of a batch are not stored, and what each is told.
-- NULL means that the append goes ahead. In this order for each request:
--   1. all its ids are stored, each append's in that stream, in a row and with the same types, data and
--      tags: it is a retry, and gets its first answer again whatever it expected (metadata tells how
--      something was sent, and may differ);
--   2. all its ids are stored, but not so: it is another append under the same ids;
--   3. some id is stored: the id belongs to another append;
--   4. its condition is not met;
--   5. an expected revision does not match.
-- Runs under the append lock, so what it sees is the state that the batch is appended to.
CREATE FUNCTION eventstore.append_refusals_v2(
    _append_request    integer[],
    _append_stream     text[],
    _append_expected   bigint[],
    _stream_head       bigint[],
    _expectation_met   boolean[],
    _event_append      integer[],
    _event_id          uuid[],
    _event_type        text[],
    _event_data        jsonb[],
    _event_tags        text[],
    _look_up_ids       boolean,
    _condition_request integer[],
    _condition_query   jsonb[],
    _condition_after   bigint[],
    _condition_before  bigint[]
) RETURNS TABLE (append integer, result jsonb)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off  -- as append_v1
AS $$
    WITH append AS (
        SELECT a.n::integer AS n, a.request, a.stream, a.expected, a.head, a.met
          FROM unnest(_append_request, _append_stream, _append_expected, _stream_head, _expectation_met)
               WITH ORDINALITY AS a(request, stream, expected, head, met, n)
    ), stored AS (
        SELECT i.append, i.n, e.event_id, e.stream_name, e.revision, e.position,
               e.event_type = i.type AND e.data = i.data AND e.tags = coalesce(i.tags, '{}')::text[] AS same
          FROM unnest(_event_append, _event_id, _event_type, _event_data, _event_tags)
               WITH ORDINALITY AS i(append, id, type, data, tags, n)
          JOIN eventstore.events AS e ON e.event_id = i.id
         WHERE _look_up_ids
    ), owned AS (  -- appends all of whose events are stored, in this stream and in a row
        SELECT s.append, min(s.revision) AS first_revision, max(s.revision) AS revision,
               max(s.position) AS position
          FROM stored AS s JOIN append AS a ON a.n = s.append
         GROUP BY s.append
        HAVING bool_and(s.stream_name = a.stream AND s.same)
           AND count(*) = (SELECT count(*) FROM unnest(_event_append) AS e(append) WHERE e.append = s.append)
           AND count(DISTINCT s.revision - s.n) = 1
    ), replayed AS (
        SELECT a.request FROM append AS a LEFT JOIN owned AS o ON o.append = a.n
         GROUP BY a.request HAVING count(*) = count(o.append)
    ), sent AS (
        SELECT a.request, count(*) AS events
          FROM unnest(_event_append) AS e(append) JOIN append AS a ON a.n = e.append
         GROUP BY a.request
    ), duplicate AS (
        SELECT DISTINCT ON (d.request) d.request, d.append,
               CASE WHEN d.is_whole THEN 'idempotency_conflict' ELSE 'duplicate_event_id' END AS outcome,
               jsonb_build_object('event_id', d.event_id, 'stream', d.stream_name, 'position', d.position) AS facts
          FROM (SELECT a.request, s.*, count(*) OVER (PARTITION BY a.request) = t.events AS is_whole
                  FROM stored AS s JOIN append AS a ON a.n = s.append JOIN sent AS t ON t.request = a.request) AS d
         ORDER BY d.request, d.is_whole AND d.same, d.n  -- the event that differs, if all are stored
    ), unmet AS (
        SELECT c.request, jsonb_build_object('position', m.position) AS facts
          FROM unnest(_condition_request, _condition_query, _condition_after, _condition_before)
               AS c(request, query, after, before)
         CROSS JOIN LATERAL eventstore.matching_v1(c.query, c.after, c.before, 1) AS m
    ), conflict AS (
        SELECT DISTINCT ON (a.request) a.request, a.n AS append,
               jsonb_build_object('stream', a.stream, 'expected', a.expected,
                                  'current_revision', nullif(a.head, -1)) AS facts
          FROM append AS a WHERE NOT a.met
         ORDER BY a.request, a.n
    )
    SELECT a.n,
           CASE
           WHEN r.request IS NOT NULL THEN
                jsonb_build_object('outcome', 'replayed', 'first_revision', o.first_revision,
                                   'revision', o.revision, 'position', o.position)
           WHEN d.request IS NOT NULL THEN
                CASE WHEN d.append = a.n THEN jsonb_build_object('outcome', d.outcome, 'facts', d.facts)
                     ELSE '{"outcome": "not_appended"}' END
           WHEN u.request IS NOT NULL THEN
                jsonb_build_object('outcome', 'condition_failed', 'facts', u.facts)
           WHEN c.request IS NOT NULL THEN
                CASE WHEN c.append = a.n THEN jsonb_build_object('outcome', 'revision_conflict', 'facts', c.facts)
                     ELSE '{"outcome": "not_appended"}' END
           END
      FROM append AS a
      LEFT JOIN replayed AS r ON r.request = a.request
      LEFT JOIN owned AS o ON o.append = a.n
      LEFT JOIN duplicate AS d ON d.request = a.request
      LEFT JOIN unmet AS u ON u.request = a.request
      LEFT JOIN conflict AS c ON c.request = a.request
$$;
