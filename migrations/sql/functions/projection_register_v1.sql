-- Makes a version of a projection known, with its partitions, or finds it known already. The first
-- version of a name serves; a later one is built beside it. true: its tables are to be made. ST007: it
-- is known with another definition (DETAIL has both fingerprints), and has begun with that.
CREATE FUNCTION eventstore.projection_register_v1(
    _projection  text,
    _version     integer,
    _query       jsonb,
    _tables      text[],
    _fingerprint text,
    _partitions  integer
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    _known eventstore.projection_versions;
    _epoch integer;
BEGIN
    IF eventstore.projection_redefine_v1(_projection, _version, _query, _tables, _fingerprint, _partitions) THEN
        RETURN true;
    END IF;
    -- One at a time: of two new versions of a new name only one may become the one that serves.
    LOCK TABLE eventstore.projection_versions IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO _known FROM eventstore.projection_versions AS v
     WHERE v.projection = _projection AND v.version = _version;
    IF FOUND THEN
        IF _known.fingerprint <> _fingerprint THEN
            RAISE EXCEPTION 'projection "%" version % is known with another definition', _projection, _version
                USING ERRCODE = 'ST007',
                      DETAIL = jsonb_build_object('projection', _projection, 'version', _version,
                                                  'known', _known.fingerprint, 'given', _fingerprint)::text,
                      HINT = 'give the changed definition a new version; it is then built beside this one';
        END IF;
        RETURN false;
    END IF;
    SELECT l.epoch INTO STRICT _epoch FROM eventstore.log AS l;
    INSERT INTO eventstore.projection_versions (projection, version, query, tables, fingerprint, partitions, serving)
    VALUES (_projection, _version, _query, _tables, _fingerprint, _partitions,
            NOT EXISTS (SELECT FROM eventstore.projection_versions AS v WHERE v.projection = _projection));
    INSERT INTO eventstore.projection_partitions (projection, version, partition, epoch)
    SELECT _projection, _version, p, _epoch FROM generate_series(0, _partitions - 1) AS p;
    RETURN true;
END $$;
