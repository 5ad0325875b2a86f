-- A runner says why its projection cannot go on. It stays stopped until somebody resumes it.
CREATE FUNCTION eventstore.projection_stop_v1(_projection text, _version integer, _reason text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE eventstore.projection_versions AS v SET state = 'stopped', reason = _reason, inline = false
     WHERE v.projection = _projection AND v.version = _version
$$;
