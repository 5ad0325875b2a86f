-- One row a version of a projection: what it does, how far it is and how old what it lacks is.
CREATE VIEW eventstore.projection_status AS
SELECT v.projection,
       v.version,
       v.serving,
       CASE WHEN v.state = 'running' AND p.owners = 0 AND NOT v.inline THEN 'waiting' ELSE v.state END AS state,
       v.reason,
       p.checkpoint,
       h.head,
       h.head - p.checkpoint AS lag_events,
       CASE WHEN h.head > p.checkpoint
            THEN greatest(clock_timestamp() - (SELECT e.recorded_at FROM eventstore.events AS e
                                                WHERE e.position = p.checkpoint + 1), '0')
            ELSE interval '0' END AS lag_time,
       v.partitions,
       p.owners AS leased_partitions,
       (SELECT count(*) FROM eventstore.projection_failures AS f
         WHERE f.projection = v.projection AND f.version = v.version AND f.state <> 'skipped') AS parked_streams,
       (SELECT count(*) FROM eventstore.projection_failures AS f
         WHERE f.projection = v.projection AND f.version = v.version AND f.state = 'skipped') AS skipped_events,
       p.moved_at,
       v.tables,
       v.inline
  FROM eventstore.projection_versions AS v
 CROSS JOIN LATERAL (
        SELECT min(p.checkpoint) AS checkpoint, max(p.moved_at) AS moved_at,
               count(w.owner) AS owners
          FROM eventstore.projection_partitions AS p
          LEFT JOIN eventstore.projection_workers AS w
            ON w.projection = p.projection AND w.version = p.version AND w.owner = p.owner AND w.seen_until >= clock_timestamp()
         WHERE p.projection = v.projection AND p.version = v.version) AS p
 CROSS JOIN (SELECT coalesce(max(e.position), 0) AS head FROM eventstore.events AS e) AS h;

-- How far each projection is in each stream. For one stream ask projection_position(): this goes
-- through all of them.
CREATE VIEW eventstore.projection_positions AS
SELECT v.projection,
       s.stream_name,
       eventstore.projection_position(v.projection, s.stream_name) AS revision,
       s.head_revision,
       EXISTS (SELECT FROM eventstore.projection_failures AS f
                WHERE f.projection = v.projection AND f.version = v.version
                  AND f.stream_name = s.stream_name AND f.state <> 'skipped') AS parked
  FROM eventstore.projection_versions AS v CROSS JOIN eventstore.streams AS s
 WHERE v.serving;
