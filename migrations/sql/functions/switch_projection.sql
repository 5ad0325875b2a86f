-- For operators: let another version of a projection serve, and give the number of the one that did
-- before; that goes on beside it and can be switched back to. All of it is seen at once when the
-- transaction ends: whoever waited for a position of the old version finds it in the new one. So
-- nothing of the old one is written any more from a moment on, and the new one has to come to where
-- that is within the time. ST008: no such version. ST010: it does not come there, or would never.
-- `even_if_behind` takes it as it is: readers may see older rows than before until it has caught up.
CREATE FUNCTION eventstore.switch_projection(
    projection     text,
    version        integer,
    even_if_behind boolean DEFAULT false,
    timeout        interval DEFAULT '10 seconds'
) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    -- Waiting while the old version stands still is for the last few events.
    _near   CONSTANT bigint := 1000;
    _until  timestamptz := clock_timestamp() + switch_projection.timeout;
    _old    eventstore.projection_versions;
    _new    eventstore.projection_versions;
    _behind bigint;
    _fault  text;
    _table  text;
    _is_frozen boolean := false;
    _is_inline boolean;
BEGIN
    SELECT v.* INTO _old FROM eventstore.projection_versions AS v
     WHERE v.projection = switch_projection.projection AND v.serving;
    IF _old.version = switch_projection.version THEN
        RETURN _old.version;
    END IF;
    PERFORM FROM eventstore.projection_versions AS v
      WHERE v.projection = _old.projection AND v.version = switch_projection.version;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no projection "%" (version %)', switch_projection.projection, switch_projection.version
            USING ERRCODE = 'ST008', HINT = 'SELECT * FROM eventstore.projection_status';
    END IF;
    -- Locks, in this order: appends if they apply it, partitions of the old version, of the new one,
    -- tables, versions.
    LOOP
        SELECT g.behind, g.fault INTO _behind, _fault
          FROM eventstore.switch_gap(_old.projection, _old.version, switch_projection.version) AS g;
        IF even_if_behind THEN
            _behind := 0;
            _fault := NULL;
        ELSIF _behind > 0 AND _fault IS NULL AND (clock_timestamp() >= _until OR _new.version IS NOT NULL) THEN
            _fault := 'it is still ' || _behind || ' events behind version ' || _old.version;
        END IF;
        IF _fault IS NOT NULL THEN
            RAISE EXCEPTION 'version % of projection "%" cannot serve yet: %', switch_projection.version, _old.projection, _fault
                USING ERRCODE = 'ST010',
                      HINT = 'once that is over, try again; with even_if_behind it serves as it is, and readers may see older rows than before';
        END IF;
        IF _new.version IS NOT NULL THEN
            EXIT;
        ELSIF _is_frozen AND _behind <= 0 THEN
            _new := eventstore.freeze_projection(_old.projection, switch_projection.version);
        ELSIF NOT _is_frozen AND _behind <= _near THEN
            -- Appends that apply it would wait all the same, and hold what is locked below.
            _is_inline := EXISTS (SELECT FROM eventstore.projection_versions AS v
                                   WHERE v.projection = _old.projection AND v.inline);
            IF _is_inline THEN
                PERFORM eventstore.hold_appends_v1();
                _until := least(_until, clock_timestamp() + interval '2 seconds');
            END IF;
            _old := eventstore.freeze_projection(_old.projection, _old.version);
            IF NOT _old.serving OR _is_inline <> EXISTS (
                SELECT FROM eventstore.projection_versions AS v WHERE v.projection = _old.projection AND v.inline)
            THEN
                RAISE EXCEPTION 'somebody else has changed which version of projection "%" serves, or how', _old.projection
                    USING ERRCODE = 'ST010', HINT = 'look again: SELECT * FROM eventstore.projection_status';
            END IF;
            _is_frozen := true;
        ELSE
            PERFORM pg_sleep(0.01);
        END IF;
    END LOOP;
    PERFORM eventstore.lock_read_tables(eventstore.read_table_names(_old) || eventstore.read_table_names(_new));
    FOREACH _table IN ARRAY _old.tables LOOP
        EXECUTE format('ALTER TABLE eventstore_read.%I RENAME TO %I', _table, _table || '__v' || _old.version);
    END LOOP;
    FOREACH _table IN ARRAY _new.tables LOOP
        EXECUTE format('ALTER TABLE eventstore_read.%I RENAME TO %I', _table || '__v' || _new.version, _table);
    END LOOP;
    UPDATE eventstore.projection_versions AS v SET serving = false
     WHERE v.projection = _old.projection AND v.version = _old.version;
    UPDATE eventstore.projection_versions AS v SET serving = true
     WHERE v.projection = _new.projection AND v.version = _new.version;
    PERFORM pg_notify('eventstore_progress', '');  -- the new one may have come farther
    RETURN _old.version;
END $$;
