-- For operators: leave parked events out for good, of a stream or at these positions; what they hold
-- back goes on. Gives how many.
CREATE FUNCTION eventstore.drop_parked(
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
    IF $2 IS NULL AND $3 IS NULL THEN
        RAISE EXCEPTION 'what is dropped is named: a stream or positions' USING ERRCODE = 'ST004',
            DETAIL = '{"problem": "what is dropped is named: a stream or positions"}';
    END IF;
    WITH dropped AS (
        DELETE FROM eventstore.deliveries AS d
         WHERE d.consumer_group = $1 AND d.state = 'parked'
           AND ($2 IS NULL OR d.stream_name = $2) AND ($3 IS NULL OR d.position = ANY ($3))
        RETURNING d.stream_name)
    SELECT array_agg(r.stream_name) INTO _streams FROM dropped AS r;
    PERFORM eventstore.consumer_unblock_v1($1, _streams);
    RETURN coalesce(cardinality(_streams), 0);
END $$;
