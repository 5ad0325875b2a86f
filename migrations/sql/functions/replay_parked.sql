-- For operators: deliver parked events again, as if for the first time and in order; what they hold back
-- follows. All of a group, of a stream, or at these positions. Gives how many.
CREATE FUNCTION eventstore.replay_parked(
    consumer_group text,
    stream_name    text     DEFAULT NULL,
    positions      bigint[] DEFAULT NULL
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _of      eventstore.consumer_groups := eventstore.consumer_lock_v1($1);
    _streams text[];
BEGIN
    WITH replayed AS (
        UPDATE eventstore.deliveries AS d
           SET state = 'returned', attempt = 0, available_at = 'epoch', reason = NULL, parked_at = NULL,
               first = _of.ordering = 'none', holds = _of.ordering = 'stream'
         WHERE d.consumer_group = $1 AND d.state = 'parked'
           AND ($2 IS NULL OR d.stream_name = $2) AND ($3 IS NULL OR d.position = ANY ($3))
        RETURNING d.stream_name)
    SELECT array_agg(r.stream_name) INTO _streams FROM replayed AS r;
    IF _of.ordering = 'stream' THEN
        -- One that was parked alone comes before what is free already, or comes back from a member.
        UPDATE eventstore.deliveries AS d SET first = false
         WHERE d.consumer_group = $1 AND d.first AND d.state IN ('waiting', 'returned', 'held', 'leased')
           AND d.stream_name = ANY (_streams);
    END IF;
    PERFORM eventstore.consumer_unblock_v1($1, _streams);
    RETURN coalesce(cardinality(_streams), 0);
END $$;
