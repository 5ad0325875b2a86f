-- Part of wait_for: refuses a wait that would be in vain.
CREATE FUNCTION eventstore.check_projection_runs(_projection text) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _of eventstore.projection_versions;
BEGIN
    SELECT v.* INTO _of FROM eventstore.projection_versions AS v WHERE v.projection = _projection AND v.serving;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no projection "%"', _projection
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
    IF _of.state <> 'running' THEN
        RAISE EXCEPTION 'projection "%" is %', _projection, _of.state || coalesce(': ' || _of.reason, '')
            USING ERRCODE = 'ST009', HINT = 'SELECT eventstore.resume_projection(projection)';
    END IF;
END $$;
