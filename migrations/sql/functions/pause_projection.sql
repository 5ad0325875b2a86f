-- For operators: let a projection rest, and go on. NULL: the version that serves.
CREATE FUNCTION eventstore.pause_projection(projection text, version integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    UPDATE eventstore.projection_versions AS v SET state = 'paused', reason = NULL, inline = false
     WHERE v.projection = pause_projection.projection
       AND CASE WHEN pause_projection.version IS NULL THEN v.serving ELSE v.version = pause_projection.version END;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no projection "%" (version %)', pause_projection.projection, coalesce(pause_projection.version::text, 'serving')
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
END $$;
