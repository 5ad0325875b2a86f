-- Part of rebuild_projection: empties a read table with a worker's rights, since a worker may have
-- put triggers on it. Refuses to run as anybody else: see run_inline.
CREATE FUNCTION eventstore.empty_read_table(_table text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_user OPERATOR(pg_catalog.<>) 'eventstore_worker' THEN
        RAISE EXCEPTION 'eventstore.empty_read_table() is to run as eventstore_worker' USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('TRUNCATE eventstore_read.%I', _table);
END $$;
