-- Part of consumer_receive_v1: held deliveries are delivered again. Of a stream in order only the first,
-- the others behind it follow one by one; without an order all that no projection holds back.
CREATE FUNCTION eventstore.consumer_return_v1(_of eventstore.consumer_groups, _positions bigint[]) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    _streams text[];
BEGIN
    WITH returned AS (
        UPDATE eventstore.deliveries AS d SET state = 'returned'
         WHERE d.consumer_group = _of.consumer_group AND d.position = ANY (_positions)
        RETURNING d.stream_name)
    SELECT array_agg(r.stream_name) INTO _streams FROM returned AS r;
    IF _of.ordering = 'none' THEN
        UPDATE eventstore.deliveries AS d SET state = 'returned', first = true
          FROM unnest(_streams) AS s(stream_name)
         WHERE d.consumer_group = _of.consumer_group AND d.stream_name = s.stream_name AND d.state = 'held'
           AND NOT EXISTS (
                SELECT FROM eventstore.projection_versions AS v
                  JOIN eventstore.projection_failures AS f ON f.projection = v.projection AND f.version = v.version
                 WHERE v.serving AND v.projection = ANY (_of.after)
                   AND f.stream_name = d.stream_name AND f.state IN ('parked', 'retrying') AND f.position <= d.position);
        PERFORM eventstore.consumer_unblock_v1(_of.consumer_group, _streams);
    END IF;
END $$;
