-- name: projection_register
SELECT eventstore.projection_register_v1($1, $2, $3::text::jsonb, $4, $5, $6);

-- name: projection_lease
SELECT l.partition, l.lease, l.checkpoint, l.epoch, l.crashes, l.surplus
  FROM eventstore.projection_beat_v1($1, $2, $3, $4, $5) AS l;

-- name: projection_release
SELECT eventstore.projection_release_v1($1, $2, $3, $4);

-- name: projection_begin
SELECT b.checkpoint, b.serving, b.held, b.skipped, b.inline, b.clear
  FROM eventstore.projection_begin_v1($1, $2, $3, $4, $5) AS b;

-- name: hold_appends
SELECT eventstore.hold_appends_v1();

-- name: projection_is_inline
SELECT v.inline FROM eventstore.projection_versions AS v WHERE v.projection = $1 AND v.version = $2;

-- name: projection_inline
SELECT eventstore.projection_inline_v1($1, $2);

-- name: projection_try
SELECT eventstore.projection_try_v1($1, $2, $3, $4, $5);

-- name: projection_retry_counted
SELECT eventstore.projection_retry_v1($1, $2, $3);

-- name: projection_event
SELECT e.position, e.stream_name, e.revision, e.event_id, e.event_type,
       e.data::text, e.metadata::text, e.tags, e.recorded_at
  FROM eventstore.events AS e
 WHERE e.position = $1;

-- name: projection_fail
SELECT eventstore.projection_fail_v1($1, $2, $3, $4, $5, $6, $7);

-- name: projection_unpark
SELECT eventstore.projection_unpark_v1($1, $2, $3);

-- name: projection_stop
SELECT eventstore.projection_stop_v1($1, $2, $3);

-- name: projection_checkpoint
SELECT eventstore.projection_checkpoint_v1($1, $2, $3, $4, $5);

-- name: projection_serves
SELECT v.version FROM eventstore.projection_versions AS v WHERE v.projection = $1 AND v.serving;

-- name: projection_known
-- $3: the schema of read tables. What a version is known with: a row a table, with its columns.
SELECT v.query::text, v.partitions, t.name,
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a
               JOIN pg_class AS c ON c.oid = a.attrelid
               JOIN pg_namespace AS n ON n.oid = c.relnamespace
              WHERE n.nspname = $3
                AND c.relname = t.name || CASE WHEN v.serving THEN '' ELSE '__v' || v.version END
                AND a.attnum > 0 AND NOT a.attisdropped)
  FROM eventstore.projection_versions AS v, unnest(v.tables) AS t (name)
 WHERE v.projection = $1 AND v.version = $2;

-- name: projection_retrying
SELECT f.stream_name, f.position FROM eventstore.projection_failures AS f
 WHERE f.projection = $1 AND f.version = $2 AND f.state = 'retrying';

-- name: projection_look
-- All that waits look at, of one moment. $1: projections; $2 and $3: streams and revisions, $4:
-- positions of events that are not known to be stored; $5: streams of those that are. Gives JSON: the
-- places of events, the versions that serve, and the streams that they hold back.
WITH place AS MATERIALIZED (
    SELECT e.stream_name, e.revision, e.position
      FROM unnest($2::text[], $3::bigint[]) AS w(stream_name, revision)
      JOIN eventstore.events AS e ON e.stream_name = w.stream_name AND e.revision = w.revision
     UNION ALL
    SELECT e.stream_name, e.revision, e.position FROM eventstore.events AS e WHERE e.position = ANY ($4::bigint[])
), serving AS MATERIALIZED (
    SELECT v.projection, v.version, v.state, v.reason FROM eventstore.projection_versions AS v
     WHERE v.serving AND v.projection = ANY ($1::text[])
)
SELECT (SELECT coalesce(json_agg(json_build_array(p.stream_name, p.revision, p.position)), '[]')::text FROM place AS p),
       (SELECT coalesce(json_agg(json_build_array(s.projection, s.state, s.reason, p.checkpoints, p.is_run)), '[]')::text
          FROM serving AS s
         CROSS JOIN LATERAL (
                SELECT array_agg(p.checkpoint ORDER BY p.partition) AS checkpoints,
                       bool_and(w.owner IS NOT NULL) AS is_run
                  FROM eventstore.projection_partitions AS p
                  LEFT JOIN eventstore.projection_workers AS w
                    ON w.projection = p.projection AND w.version = p.version AND w.owner = p.owner
                   AND w.seen_until >= clock_timestamp()
                 WHERE p.projection = s.projection AND p.version = s.version) AS p),
       (SELECT coalesce(json_agg(json_build_array(f.projection, f.stream_name, f.revision, f.error, f.state = 'retrying')), '[]')::text
          FROM serving AS s
          JOIN eventstore.projection_failures AS f ON f.projection = s.projection AND f.version = s.version
         WHERE f.state IN ('parked', 'retrying')
           AND (f.stream_name = ANY ($2::text[] || $5::text[])
                OR f.stream_name IN (SELECT p.stream_name FROM place AS p)));

-- name: projection_statuses
-- $1: a projection, NULL for all.
SELECT s.projection, s.version, s.serving, s.state, s.reason, s.checkpoint, s.head, s.lag_events,
       extract(epoch FROM s.lag_time)::double precision, s.partitions, s.leased_partitions,
       s.parked_streams, s.skipped_events, s.moved_at, s.tables
  FROM eventstore.projection_status AS s
 WHERE $1::text IS NULL OR s.projection = $1
 ORDER BY s.projection, s.version;

-- name: projection_parked_streams
-- $1: projection, $2: limit, $3: version, NULL for the one that serves. A row of NULLs if there is
-- none, no row if there is no such version.
SELECT f.stream_name, f.revision, f.position, f.state, f.error, f.attempts, f.failed_at
  FROM eventstore.projection_versions AS v
  LEFT JOIN eventstore.projection_failures AS f
    ON f.projection = v.projection AND f.version = v.version AND f.state <> 'skipped'
 WHERE v.projection = $1 AND CASE WHEN $3::integer IS NULL THEN v.serving ELSE v.version = $3 END
 ORDER BY f.position LIMIT $2;

-- name: projection_pause
SELECT eventstore.pause_projection($1, $2);

-- name: projection_resume
SELECT eventstore.resume_projection($1, $2);

-- name: projection_retry
-- $2: stream, NULL for all, $3: version. Whether there is such a version, and how many.
SELECT EXISTS (SELECT FROM eventstore.projection_versions AS v WHERE v.projection = $1
                  AND CASE WHEN $3::integer IS NULL THEN v.serving ELSE v.version = $3 END),
       eventstore.retry_parked($1, $2, $3);

-- name: projection_skip
-- $2: stream, $3: version. Whether there is such a version, and the position of the event.
SELECT EXISTS (SELECT FROM eventstore.projection_versions AS v WHERE v.projection = $1
                  AND CASE WHEN $3::integer IS NULL THEN v.serving ELSE v.version = $3 END),
       eventstore.skip_parked($1, $2, $3);

-- name: projection_position
SELECT eventstore.projection_position($1, $2);

-- name: projection_retried_from
-- $3: stream. Where it goes on, NULL if it is not to be tried again. Only the runner that holds the
-- partition's row changes that.
SELECT f.position FROM eventstore.projection_failures AS f
 WHERE f.projection = $1 AND f.version = $2 AND f.stream_name = $3 AND f.state = 'retrying';

-- name: projection_switch
-- $3: even if it is behind, $4: seconds to wait. The version that served before.
SELECT eventstore.switch_projection($1, $2, $3, make_interval(secs => $4));

-- name: projection_drop
SELECT eventstore.drop_projection($1, $2);

-- name: projection_rebuild
SELECT eventstore.rebuild_projection($1, $2);

-- name: projection_compare
SELECT c.table_name, c.columns, c.serving_version, c.serving_checkpoint, c.serving_rows, c.serving_checksum,
       c.checkpoint, c.rows, c.checksum
  FROM eventstore.compare_projection($1, $2) AS c;

-- name: projection_columns
-- $1: projection, $2: table, $3: the schema of read tables. Of the version that serves: its tables,
-- and the columns of this one (NULL if it is none of them), those of its key first, in its order.
SELECT v.tables, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       a.attname::text, quote_ident(a.attname), format_type(a.atttypid, -1),
       k.place IS NOT NULL
  FROM eventstore.projection_versions AS v
  LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace)
    ON n.nspname = $3::text AND c.relname = $2::text AND $2 = ANY (v.tables)
  LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_index AS i ON i.indrelid = c.oid AND i.indisprimary
  LEFT JOIN LATERAL (SELECT array_position(i.indkey::int2[], a.attnum) AS place) AS k ON true
 WHERE v.projection = $1 AND v.serving
 ORDER BY k.place, a.attnum;
