-- For operators: remove a version of a projection that does not serve, with its tables. Whoever runs
-- it leaves it alone then; a worker that starts with its definition builds it anew. ST008: no such
-- version. ST010: it serves, something depends on its tables, or they are being read.
CREATE FUNCTION eventstore.drop_projection(projection text, version integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _of     eventstore.projection_versions := eventstore.freeze_projection(drop_projection.projection, drop_projection.version);
    _table  text;
    _detail text;
BEGIN
    IF _of.serving THEN
        RAISE EXCEPTION 'version % of projection "%" serves', _of.version, _of.projection
            USING ERRCODE = 'ST010', HINT = 'let another version serve first: eventstore.switch_projection(projection, version)';
    END IF;
    PERFORM eventstore.lock_read_tables(eventstore.read_table_names(_of));
    FOREACH _table IN ARRAY eventstore.read_table_names(_of) LOOP
        EXECUTE format('DROP TABLE IF EXISTS eventstore_read.%I', _table);
    END LOOP;
    EXECUTE format('DROP FUNCTION IF EXISTS eventstore_read.%I(bigint, bigint), eventstore_read.%I(bigint, bigint)',
                   _of.projection || '__inline_v' || _of.version, _of.projection || '__beside_v' || _of.version);
    DELETE FROM eventstore.projection_versions AS v WHERE v.projection = _of.projection AND v.version = _of.version;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS _detail = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'something depends on read table "%": %', _table, _detail
        USING ERRCODE = 'ST010', HINT = 'make it anew on the table that serves, or drop it';
END $$;
