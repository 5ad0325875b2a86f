-- name: append
-- One text for both drivers and every batch size; texts are cast here so that it does not depend
-- on how a caller's own connection encodes jsonb.
SELECT outcome, first_revision, revision, position, facts::text
  FROM eventstore.append_v1($1::integer[], $2::text[], $3::bigint[], $4::integer[], $5::text[]::uuid[],
                            $6::text[], $7::text[]::jsonb[], $8::text[]::jsonb[], $9::text[], $10::boolean,
                            $11::integer[], $12::text[]::jsonb[], $13::bigint[]);

-- name: stored_id
-- $1: event ids. One of them that is stored.
SELECT e.event_id::text, e.stream_name, e.position
  FROM eventstore.events AS e
 WHERE e.event_id = ANY ($1::text[]::uuid[]) LIMIT 1;

-- name: log_head
-- The log's identity and its last position (0 when empty).
SELECT l.store_id, l.epoch, coalesce((SELECT max(e.position) FROM eventstore.events AS e), 0) AS head
  FROM eventstore.log AS l;

-- name: log_news
-- $1: position, $2: limit. The head and the events after a position, as of one moment: a row for
-- each event, or one without an event. They are sorted here only to be cut off: by contract they
-- come in any order, so that large events are not sorted twice.
SELECT l.store_id, l.epoch, coalesce((SELECT max(e.position) FROM eventstore.events AS e), 0) AS head,
       n.*
  FROM eventstore.log AS l
  LEFT JOIN LATERAL (
        SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
               e.data::text, e.metadata::text, e.tags, e.recorded_at
          FROM eventstore.events AS e
         WHERE e.position > $1
         ORDER BY e.position LIMIT $2) AS n ON true;

-- name: log_forward
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.position > $1 AND e.position < $2
 ORDER BY e.position LIMIT $3;

-- name: log_backward
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.position > $1 AND e.position < $2
 ORDER BY e.position DESC LIMIT $3;

-- name: category_forward
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE split_part(e.stream_name, '-', 1) = $1 AND e.position > $2 AND e.position < $3
 ORDER BY e.position LIMIT $4;

-- name: category_backward
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE split_part(e.stream_name, '-', 1) = $1 AND e.position > $2 AND e.position < $3
 ORDER BY e.position DESC LIMIT $4;

-- name: matching_forward
-- The LIMIT keeps it to one look-up a position: nobody can tell the planner how few there will be.
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.matching_v1($1::text::jsonb, $2, $3, $4::integer) AS m
 CROSS JOIN LATERAL (SELECT * FROM eventstore.events AS e WHERE e.position = m.position LIMIT 1) AS e
 ORDER BY m.position;

-- name: matching_backward
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.matching_backward_v1($1::text::jsonb, $2, $3, $4::integer) AS m
 CROSS JOIN LATERAL (SELECT * FROM eventstore.events AS e WHERE e.position = m.position LIMIT 1) AS e
 ORDER BY m.position DESC;

-- name: event_by_id
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.event_id = $1::text::uuid;

-- name: categories
SELECT category, events, last_position FROM eventstore.categories ORDER BY category COLLATE "C";

-- name: event_types
SELECT event_type, events, last_position FROM eventstore.event_types ORDER BY event_type;

-- name: installed_revision
SELECT version_num FROM eventstore.alembic_version;
