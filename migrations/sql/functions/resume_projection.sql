-- For operators: let a projection that was paused, or has stopped, go on. NULL: the one that serves.
CREATE FUNCTION eventstore.resume_projection(projection text, version integer DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    UPDATE eventstore.projection_versions AS v SET state = 'running', reason = NULL
     WHERE v.projection = resume_projection.projection
       AND CASE WHEN resume_projection.version IS NULL THEN v.serving ELSE v.version = resume_projection.version END;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no projection "%" (version %)', resume_projection.projection, coalesce(resume_projection.version::text, 'serving')
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
    -- The event at which it stopped is tried again.
    DELETE FROM eventstore.projection_failures AS f USING eventstore.projection_versions AS v
     WHERE v.projection = resume_projection.projection
       AND CASE WHEN resume_projection.version IS NULL THEN v.serving ELSE v.version = resume_projection.version END
       AND f.projection = v.projection AND f.version = v.version AND f.state = 'stopped';
END $$;
