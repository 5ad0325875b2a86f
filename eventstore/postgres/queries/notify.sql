-- name: notify
-- No flush to disk for a hint: it may be lost, the events are not.
-- To ask for the usage frees what everyone has heard. A queue that was full stays full otherwise,
-- also when the session that held it back has gone.
SELECT set_config('synchronous_commit', 'off', true), pg_notification_queue_usage(), pg_notify($1, $2);
