-- name: consumer_create
-- $3: position after which it starts, NULL for the head. Whether it was made.
SELECT eventstore.consumer_create_v1($1, $2::text::jsonb, $3, $4, $5, $6, $7, $8, $9);

-- name: consumer_run
-- $10: the worker that runs it.
SELECT eventstore.consumer_create_v1($1, $2::text::jsonb, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: consumer_beat
-- $2: the worker.
SELECT b.settled, 0, b.lost, b.undone_after FROM eventstore.consumer_beat_v1($1, $2, $3, $4) AS b;

-- name: consumer_leave
SELECT eventstore.consumer_leave_v1($1, $2);

-- name: consumer_delete
SELECT eventstore.delete_consumer($1);

-- name: consumer_query
SELECT g.query::text FROM eventstore.consumer_groups AS g WHERE g.consumer_group = $1;

-- name: consumer_statuses
-- $1: a group, NULL for all.
SELECT s.consumer_group, s.query::text, s.ordering, s.buffer, s.lease_seconds, s.retries, s.backoff_seconds,
       s.after, s.checkpoint, s.head, s.lag_events, extract(epoch FROM s.lag_time)::double precision,
       s.buffered, s.returned, s.in_flight, s.parked, s.held, s.members::text, s.workers, s.created_at
  FROM eventstore.consumer_status AS s
 WHERE $1::text IS NULL OR s.consumer_group = $1
 ORDER BY s.consumer_group;

-- name: consumer_receive
-- $2: how many at most, $3: who asks. A row for each delivery, or one without: when to look again.
SELECT r.more, r.look_in, r.position_seen, r.lease, r.attempt, r.leased_until,
       r.position, r.stream_name, r.revision, r.event_id, r.event_type,
       r.data::text, r.metadata::text, r.tags, r.recorded_at
  FROM eventstore.consumer_receive_v1($1, $2, $3) AS r;

-- name: consumer_ack
SELECT a.settled, 0, a.lost FROM eventstore.consumer_ack_v1($1, $2, $3) AS a;

-- name: consumer_nack
SELECT n.settled, n.parked, n.lost FROM eventstore.consumer_nack_v1($1, $2, $3, $4, $5, $6) AS n;

-- name: consumer_renew
SELECT n.settled, 0, n.lost FROM eventstore.consumer_renew_v1($1, $2, $3) AS n;

-- name: consumer_parked
-- $2: limit. A row of NULLs if nothing is, no row if there is no such group.
SELECT p.position, p.stream_name, p.revision, p.event_type, p.attempts, p.reason, p.member, p.parked_at,
       CASE WHEN p.holds_stream THEN p.held END
  FROM eventstore.consumer_groups AS g
  LEFT JOIN eventstore.parked AS p ON p.consumer_group = g.consumer_group
 WHERE g.consumer_group = $1
 ORDER BY p.position LIMIT $2;

-- name: consumer_replay
-- $2: stream, $3: positions; NULL for all.
SELECT eventstore.replay_parked($1, $2, $3);

-- name: consumer_drop
SELECT eventstore.drop_parked($1, $2, $3);
