-- What every consumer group does, how far it is, and who holds how many of its deliveries.
CREATE VIEW eventstore.consumer_status AS
SELECT g.consumer_group,
       g.ordering,
       g.buffer,
       g.lease_seconds,
       g.retries,
       g.backoff_seconds,
       g.after,
       g.checkpoint,
       h.head,
       h.head - g.checkpoint AS lag_events,
       CASE WHEN h.head > g.checkpoint
            THEN greatest(clock_timestamp() - (SELECT e.recorded_at FROM eventstore.events AS e
                                                WHERE e.position = g.checkpoint + 1), '0')
            ELSE interval '0' END AS lag_time,
       d.buffered,
       d.returned,
       d.in_flight,
       d.parked,
       d.held,
       d.members,
       ARRAY(SELECT w.member FROM eventstore.consumer_workers AS w
              WHERE w.consumer_group = g.consumer_group AND w.seen_until >= clock_timestamp()
              ORDER BY w.member) AS workers,
       g.query,
       g.created_at
  FROM eventstore.consumer_groups AS g
 CROSS JOIN (SELECT coalesce(max(e.position), 0) AS head FROM eventstore.events AS e) AS h
 CROSS JOIN LATERAL (
        SELECT coalesce(sum(c.count) FILTER (WHERE c.state = 'waiting'), 0)::bigint  AS buffered,
               coalesce(sum(c.count) FILTER (WHERE c.state = 'returned'), 0)::bigint AS returned,
               coalesce(sum(c.count) FILTER (WHERE c.state = 'leased'), 0)::bigint   AS in_flight,
               coalesce(sum(c.count) FILTER (WHERE c.state = 'parked'), 0)::bigint   AS parked,
               coalesce(sum(c.count) FILTER (WHERE c.state = 'held'), 0)::bigint     AS held,
               coalesce(jsonb_object_agg(c.member, c.count) FILTER (WHERE c.state = 'leased'), '{}') AS members
          FROM (SELECT l.state, CASE WHEN l.state = 'leased' THEN coalesce(d.member, '') END AS member, count(*) AS count
                  FROM eventstore.deliveries AS d
                 -- What a member did not settle in time is to be delivered again: nobody has it.
                 CROSS JOIN LATERAL (
                        SELECT CASE WHEN d.state = 'leased' AND d.available_at <= clock_timestamp() THEN 'returned'
                                    ELSE d.state END AS state) AS l
                 WHERE d.consumer_group = g.consumer_group
                 GROUP BY 1, 2) AS c) AS d;

CREATE VIEW eventstore.parked AS
SELECT d.consumer_group,
       d.position,
       d.stream_name,
       e.revision,
       e.event_type,
       d.attempt AS attempts,
       d.reason,
       d.member,
       d.parked_at,
       d.holds   AS holds_stream,
       (SELECT count(*) FROM eventstore.deliveries AS h
         WHERE d.holds AND h.consumer_group = d.consumer_group AND h.stream_name = d.stream_name
           AND h.state = 'held') AS held
  FROM eventstore.deliveries AS d
  JOIN eventstore.events AS e ON e.position = d.position
 WHERE d.state = 'parked';
