-- Streams are found by skipping through the unique index from one name to the next: one index
-- look-up a stream, however many events it has.
CREATE VIEW eventstore.streams AS
WITH RECURSIVE name(stream_name) AS (
    (SELECT e.stream_name FROM eventstore.events AS e ORDER BY e.stream_name LIMIT 1)
    UNION ALL
    SELECT (SELECT e.stream_name FROM eventstore.events AS e
             WHERE e.stream_name > n.stream_name ORDER BY e.stream_name LIMIT 1)
      FROM name AS n WHERE n.stream_name IS NOT NULL
)
SELECT n.stream_name,
       split_part(n.stream_name, '-', 1) AS category,
       l.revision                        AS head_revision,
       f.position                        AS first_position,
       l.position                        AS last_position,
       f.recorded_at                     AS first_recorded_at,
       l.recorded_at                     AS last_recorded_at
  FROM name AS n
 CROSS JOIN LATERAL (SELECT e.position, e.recorded_at FROM eventstore.events AS e
                      WHERE e.stream_name = n.stream_name ORDER BY e.revision LIMIT 1) AS f
 CROSS JOIN LATERAL (SELECT e.position, e.revision, e.recorded_at FROM eventstore.events AS e
                      WHERE e.stream_name = n.stream_name ORDER BY e.revision DESC LIMIT 1) AS l
 WHERE n.stream_name IS NOT NULL;

CREATE VIEW eventstore.categories AS
SELECT split_part(e.stream_name, '-', 1) AS category, count(*) AS events, max(e.position) AS last_position
  FROM eventstore.events AS e GROUP BY 1;

CREATE VIEW eventstore.event_types AS
SELECT e.event_type, count(*) AS events, max(e.position) AS last_position
  FROM eventstore.events AS e GROUP BY 1;

-- Who holds the append lock is seen in the row's xmax: the transaction that locked it last.
CREATE VIEW eventstore.health AS
SELECT l.store_id,
       l.epoch,
       coalesce(e.position, 0) AS head,
       e.recorded_at           AS head_recorded_at,
       a.pid                   AS append_lock_pid,
       a.usename               AS append_lock_user,
       a.application_name      AS append_lock_application,
       a.state                 AS append_lock_state,
       clock_timestamp() - a.xact_start AS append_lock_held,
       (SELECT count(*) FROM pg_locks AS w
         WHERE NOT w.granted
           AND (w.locktype = 'transactionid' AND w.transactionid = l.xmax
                OR w.locktype = 'tuple' AND w.relation = l.tableoid)) AS append_lock_waiters
  FROM eventstore.log AS l
  LEFT JOIN (SELECT e.position, e.recorded_at FROM eventstore.events AS e
              ORDER BY e.position DESC LIMIT 1) AS e ON true
  LEFT JOIN pg_stat_activity AS a ON a.backend_xid = l.xmax AND l.xmax <> '0';
