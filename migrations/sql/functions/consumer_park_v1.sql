-- Part of receive and nack: deliveries are parked, and what is behind them in their streams is held,
-- where it does not fill the buffer, or goes on. Without a reason: their leases ran out.
CREATE FUNCTION eventstore.consumer_park_v1(_group text, _positions bigint[], _holds boolean, _reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $$
DECLARE
    _streams text[];
    _behind  bigint[];
BEGIN
    WITH parked AS (
        UPDATE eventstore.deliveries AS d
           SET state = 'parked', lease = d.lease + 1, holds = _holds, parked_at = clock_timestamp(),
               reason = coalesce(_reason, format('its lease ran out at attempt %s of %s', d.attempt, d.attempt))
         WHERE d.consumer_group = _group AND d.position = ANY (_positions)
        RETURNING d.stream_name, d.position)
    SELECT array_agg(p.stream_name), array_agg(p.position) INTO _streams, _behind FROM parked AS p;
    IF NOT _holds THEN
        PERFORM eventstore.consumer_unblock_v1(_group, _streams);
        RETURN;
    END IF;
    UPDATE eventstore.deliveries AS d SET state = 'held', first = false
      FROM unnest(_streams, _behind) AS p(stream_name, position)
     WHERE d.consumer_group = _group AND d.state IN ('waiting', 'returned')
       AND d.stream_name = p.stream_name AND d.position > p.position;
END $$;
