-- name: stream_forward
-- Events of a stream between two revisions, oldest first.
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.stream_name = $1 AND e.revision > $2 AND e.revision < $3
 ORDER BY e.revision LIMIT $4;

-- name: stream_backward
-- The same, newest first.
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.stream_name = $1 AND e.revision > $2 AND e.revision < $3
 ORDER BY e.revision DESC LIMIT $4;

-- name: stream_head
SELECT e.revision FROM eventstore.events AS e
 WHERE e.stream_name = $1 ORDER BY e.stream_name DESC, e.revision DESC LIMIT 1;

-- name: list_streams
-- Skips from one name to the next in the unique index. $1: one exact name or NULL (it sorts before
-- the range), $2: prefix of the range, $3: only names after this one, $4: limit.
WITH RECURSIVE name(stream_name, n) AS (
    (SELECT e.stream_name, 1 FROM eventstore.events AS e
      WHERE e.stream_name >= $2::text AND e.stream_name > $3::text ORDER BY e.stream_name LIMIT 1)
    UNION ALL
    SELECT (SELECT e.stream_name FROM eventstore.events AS e
             WHERE e.stream_name > n.stream_name ORDER BY e.stream_name LIMIT 1), n.n + 1
      FROM name AS n
     WHERE starts_with(n.stream_name, $2::text) AND n.n <= $4::bigint
)
SELECT s.stream_name, h.revision
  FROM (SELECT $1::text COLLATE "C" AS stream_name WHERE $1::text COLLATE "C" > $3::text COLLATE "C"
        UNION ALL
        SELECT n.stream_name FROM name AS n WHERE starts_with(n.stream_name, $2::text)) AS s
 CROSS JOIN LATERAL (SELECT e.revision FROM eventstore.events AS e
                      WHERE e.stream_name = s.stream_name
                      ORDER BY e.stream_name DESC, e.revision DESC LIMIT 1) AS h
 ORDER BY s.stream_name LIMIT $4::bigint;
