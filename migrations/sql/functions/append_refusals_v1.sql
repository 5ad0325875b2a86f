-- The seldom part of append_v1: which appends of a batch are not stored, and what each is told.
-- NULL means that the append goes ahead. In this order for each request:
--   1. all its ids are stored, each append's in that stream and in a row: it is a retry, and gets
--      its first answer again whatever it expected;
--   2. some id is stored: the id belongs to another append;
--   3. its condition is not met;
--   4. an expected revision does not match.
-- Runs under the append lock, so what it sees is the state that the batch is appended to.
CREATE FUNCTION eventstore.append_refusals_v1(
    _append_request    integer[],
    _append_stream     text[],
    _append_expected   bigint[],
    _stream_head       bigint[],
    _expectation_met   boolean[],
    _event_append      integer[],
    _event_id          uuid[],
    _look_up_ids       boolean,
    _condition_request integer[],
    _condition_query   jsonb[],
    _condition_after   bigint[]
) RETURNS TABLE (append integer, result jsonb)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    WITH append AS (
        SELECT a.n::integer AS n, a.request, a.stream, a.expected, a.head, a.met
          FROM unnest(_append_request, _append_stream, _append_expected, _stream_head, _expectation_met)
               WITH ORDINALITY AS a(request, stream, expected, head, met, n)
    ), stored AS (
        SELECT i.append, i.n, e.event_id, e.stream_name, e.revision, e.position
          FROM unnest(_event_append, _event_id) WITH ORDINALITY AS i(append, id, n)
          JOIN eventstore.events AS e ON e.event_id = i.id
         WHERE _look_up_ids
    ), owned AS (  -- appends all of whose ids are stored, in this stream and in a row
        SELECT s.append, min(s.revision) AS first_revision, max(s.revision) AS revision,
               max(s.position) AS position
          FROM stored AS s JOIN append AS a ON a.n = s.append
         GROUP BY s.append
        HAVING bool_and(s.stream_name = a.stream)
           AND count(*) = (SELECT count(*) FROM unnest(_event_append) AS e(append) WHERE e.append = s.append)
           AND count(DISTINCT s.revision - s.n) = 1
    ), replayed AS (
        SELECT a.request FROM append AS a LEFT JOIN owned AS o ON o.append = a.n
         GROUP BY a.request HAVING count(*) = count(o.append)
    ), duplicate AS (
        SELECT DISTINCT ON (a.request) a.request, a.n AS append,
               jsonb_build_object('event_id', s.event_id, 'stream', s.stream_name, 'position', s.position) AS facts
          FROM stored AS s JOIN append AS a ON a.n = s.append
         ORDER BY a.request, s.n
    ), unmet AS (
        SELECT c.request, jsonb_build_object('position', m.position) AS facts
          FROM unnest(_condition_request, _condition_query, _condition_after) AS c(request, query, after)
         CROSS JOIN LATERAL eventstore.matching_v1(c.query, c.after, 9223372036854775807, 1) AS m
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
                CASE WHEN d.append = a.n THEN jsonb_build_object('outcome', 'duplicate_event_id', 'facts', d.facts)
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
