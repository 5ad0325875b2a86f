-- name: projection_register
SELECT eventstore.projection_register_v1($1, $2, $3::text::jsonb, $4, $5, $6);

-- name: projection_lease
SELECT l.partition, l.lease, l.checkpoint, l.epoch, l.crashes, l.surplus
  FROM eventstore.projection_lease_v1($1, $2, $3, $4) AS l;

-- name: projection_release
SELECT eventstore.projection_release_v1($1, $2, $3, $4);

-- name: projection_begin
SELECT b.checkpoint, b.serving, b.held FROM eventstore.projection_begin_v1($1, $2, $3, $4, $5) AS b;

-- name: projection_fail
SELECT eventstore.projection_fail_v1($1, $2, $3, $4, $5, $6, $7);

-- name: projection_unpark
SELECT eventstore.projection_unpark_v1($1, $2, $3);

-- name: projection_stop
SELECT eventstore.projection_stop_v1($1, $2, $3);

-- name: projection_checkpoint
SELECT eventstore.projection_checkpoint_v1($1, $2, $3, $4, $5);

-- name: projection_serves
SELECT v.serving FROM eventstore.projection_versions AS v WHERE v.projection = $1 AND v.version = $2;

-- name: projection_retrying
SELECT f.stream_name, f.position FROM eventstore.projection_failures AS f
 WHERE f.projection = $1 AND f.version = $2 AND f.state = 'retrying';
