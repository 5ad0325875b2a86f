-- Part of what operators do: no batch of a version is under way from here to the end of the
-- transaction, and none begins. Gives what is known of it now. ST008: there is no such version,
-- ST010: a batch does not end.
CREATE FUNCTION eventstore.freeze_projection(_projection text, _version integer) RETURNS eventstore.projection_versions
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    _of eventstore.projection_versions;
BEGIN
    BEGIN
        PERFORM FROM eventstore.projection_partitions AS p
          WHERE p.projection = _projection AND p.version = _version
          ORDER BY p.partition FOR NO KEY UPDATE;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        RAISE EXCEPTION 'a batch of projection "%" version % has been under way for over 3 s; nothing was changed', _projection, _version
            USING ERRCODE = 'ST010', HINT = 'try again';
    END;
    SELECT v.* INTO _of FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no projection "%" (version %)', _projection, _version
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
    RETURN _of;
END $$;
