-- name: notify
-- No flush to disk for a hint: it may be lost, the events are not.
SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2);
