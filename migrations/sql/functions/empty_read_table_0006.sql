-- Part of rebuild_projection: empties a read table with a worker's rights, since a worker may have
-- put triggers on it: see run_inline.
CREATE OR REPLACE FUNCTION eventstore.empty_read_table(_table text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _before text[];
BEGIN
    IF current_user <> 'eventstore_inline' THEN
        RAISE EXCEPTION 'eventstore.empty_read_table() is to run as eventstore_inline' USING ERRCODE = 'insufficient_privilege';
    END IF;
    _before := eventstore.surroundings_v1(current_setting('search_path'));
    EXECUTE format('TRUNCATE eventstore_read.%I', _table);
    PERFORM eventstore.refuse_changes_v1(_before, eventstore.surroundings_v1(pg_catalog.current_setting('search_path')));
END $$;
