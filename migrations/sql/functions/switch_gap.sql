-- Part of switch_projection: by how many events a version is behind the one that serves, in their
-- partitions that are farthest apart (0 or less: it is not), and why there is no use in waiting.
CREATE FUNCTION eventstore.switch_gap(
    _projection text,
    _serving    integer,
    _version    integer,
    OUT behind  bigint,
    OUT fault   text
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _of     eventstore.projection_versions;
    _parked bigint;
BEGIN
    SELECT v.* INTO _of FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version;
    SELECT max(p.checkpoint) FILTER (WHERE p.version = _serving) - min(p.checkpoint) FILTER (WHERE p.version = _version)
      INTO behind FROM eventstore.projection_partitions AS p WHERE p.projection = _projection;
    IF _of.state <> 'running' THEN
        fault := 'it is ' || _of.state || coalesce(': ' || _of.reason, '');
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM eventstore.projection_partitions AS p, eventstore.log AS l
                WHERE p.projection = _projection AND p.version = _version AND p.epoch <> l.epoch) THEN
        fault := 'it was built from a history that was rewound';
        RETURN;
    END IF;
    -- Streams that the one that serves shows up to an event that this one does not show.
    SELECT count(*) INTO _parked FROM eventstore.projection_failures AS f
     WHERE f.projection = _projection AND f.version = _version AND f.state IN ('parked', 'retrying')
       AND NOT EXISTS (SELECT FROM eventstore.projection_failures AS o
                        WHERE o.projection = _projection AND o.version = _serving AND o.state IN ('parked', 'retrying')
                          AND o.stream_name = f.stream_name AND o.position <= f.position);
    IF _parked > 0 THEN
        fault := 'it holds ' || _parked || ' streams back that version ' || _serving || ' does not';
    ELSIF behind > 0 AND NOT EXISTS (SELECT FROM eventstore.projection_workers AS w
                                      WHERE w.projection = _projection AND w.version = _version
                                        AND w.seen_until >= clock_timestamp()) THEN
        fault := 'it is ' || behind || ' events behind version ' || _serving || ' and no worker runs it';
    END IF;
END $$;
