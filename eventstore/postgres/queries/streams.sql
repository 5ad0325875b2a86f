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

-- name: stream_from_snapshot
-- $1: stream, $2: decider, $3: version of its snapshots, $4: an event id or NULL, $5: limit. The
-- snapshot comes first, if there is one, in the form of an event without a type; then the events
-- behind it. It is believed only if the stream has the event that it is as of, in this epoch; and it
-- is left out if the event $4 is in the log, for that one is looked for then.
WITH snapshot AS MATERIALIZED (
    SELECT e.position, s.revision, s.event_id, s.state, s.kept_at
      FROM eventstore.snapshots AS s
      JOIN eventstore.events AS e ON e.stream_name = s.stream_name AND e.revision = s.revision
     WHERE s.decider = $2 AND s.stream_name = $1 AND s.version = $3
       AND e.event_id = s.event_id
       AND s.epoch = (SELECT l.epoch FROM eventstore.log AS l)
       AND NOT EXISTS (SELECT FROM eventstore.events AS x WHERE x.event_id = $4::text::uuid)
), read AS (
    SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
           e.data::text, e.metadata::text, e.tags, e.recorded_at
      FROM eventstore.events AS e
     WHERE e.stream_name = $1 AND e.revision > coalesce((SELECT s.revision FROM snapshot AS s), -1)
     ORDER BY e.revision LIMIT $5
)
SELECT s.position, $1::text, s.revision, s.event_id, NULL, s.state::text, NULL, NULL, s.kept_at
  FROM snapshot AS s
UNION ALL
SELECT r.* FROM read AS r
 ORDER BY 3;

-- name: snapshot_keep
-- $1: decider, $2: version of its snapshots, $3: id of the last event of the state $4. The last one
-- to come wins: an older snapshot costs some reading, no more.
INSERT INTO eventstore.snapshots AS s (decider, stream_name, version, epoch, revision, event_id, state)
SELECT $1::text, e.stream_name, $2::integer, l.epoch, e.revision, e.event_id, $4::text::jsonb
  FROM eventstore.events AS e CROSS JOIN eventstore.log AS l
 WHERE e.event_id = $3
    ON CONFLICT (decider, stream_name) DO UPDATE
   SET version = excluded.version, epoch = excluded.epoch, revision = excluded.revision,
       event_id = excluded.event_id, state = excluded.state, kept_at = excluded.kept_at
RETURNING s.revision;
