-- For operators: let a version of a projection that does not serve begin anew with the first event.
-- Its tables are emptied, what failed is forgotten, and one that was paused or has stopped goes on.
-- Whoever runs it begins anew, too. ST008: no such version. ST010: it serves, or is being read.
CREATE FUNCTION eventstore.rebuild_projection(projection text, version integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    _of    eventstore.projection_versions := eventstore.freeze_projection(rebuild_projection.projection, rebuild_projection.version);
    _table text;
BEGIN
    IF _of.serving THEN
        RAISE EXCEPTION 'version % of projection "%" serves: its readers would find nothing', _of.version, _of.projection
            USING ERRCODE = 'ST010', HINT = 'give the definition a new version, which is built beside it';
    END IF;
    PERFORM eventstore.lock_read_tables(eventstore.read_table_names(_of));
    FOREACH _table IN ARRAY eventstore.read_table_names(_of) LOOP
        PERFORM eventstore.empty_read_table(_table);
    END LOOP;
    -- A trigger may have set another for the session: then operators would be its own.
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    DELETE FROM eventstore.projection_failures AS f WHERE f.projection = _of.projection AND f.version = _of.version;
    -- A new lease: a runner with what it has read so far writes nothing any more.
    UPDATE eventstore.projection_partitions AS p
       SET checkpoint = 0, lease = p.lease + 1, owner = NULL, crashes = 0, tries = 0, moved_at = NULL,
           epoch = (SELECT l.epoch FROM eventstore.log AS l)
     WHERE p.projection = _of.projection AND p.version = _of.version;
    UPDATE eventstore.projection_versions AS v SET state = 'running', reason = NULL, inline = false
     WHERE v.projection = _of.projection AND v.version = _of.version;
END $$;
