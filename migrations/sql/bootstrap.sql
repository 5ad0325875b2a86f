-- What must be there before the first migration: the roles and the schema. Safe to run again.
-- Least privilege: readers SELECT; writers EXECUTE the append functions as well; nobody but the
-- owner can touch the tables, and the owner cannot log in. Roles are the cluster's: a store of the
-- same name in another database shares them.
DO $$
DECLARE
    _role   text;
    _member text;
    _fault  text;
BEGIN
    FOREACH _role IN ARRAY ARRAY['eventstore_owner', 'eventstore_writer', 'eventstore_reader', 'eventstore_worker', 'eventstore_inline'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = _role);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', _role);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another database's migration made it in this very moment
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % is missing and this user may not create roles', _role
                    USING ERRCODE = 'insufficient_privilege',
                          HINT = 'let an administrator run: CREATE ROLE eventstore_owner NOLOGIN; CREATE ROLE eventstore_writer NOLOGIN; '
                                 'CREATE ROLE eventstore_reader NOLOGIN; CREATE ROLE eventstore_worker NOLOGIN; '
                                 'CREATE ROLE eventstore_inline NOLOGIN; '
                                 'GRANT eventstore_worker TO eventstore_inline; GRANT eventstore_inline TO eventstore_owner; '
                                 'and GRANT eventstore_owner to the user that migrates';
        END;
    END LOOP;
    -- A role of that name that was there for something else would be handed the log.
    FOR _role, _fault IN
        SELECT r.rolname, CASE WHEN r.rolsuper THEN 'is a superuser' WHEN r.rolcreaterole THEN 'may create roles'
                               WHEN r.rolreplication THEN 'may replicate' WHEN r.rolbypassrls THEN 'may bypass row security'
                               ELSE 'can log in' END
          FROM pg_catalog.pg_roles AS r
         WHERE r.rolname IN ('eventstore_owner', 'eventstore_inline', 'eventstore_writer', 'eventstore_reader', 'eventstore_worker')
           AND (r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls
                OR r.rolcanlogin AND (r.rolname IN ('eventstore_owner', 'eventstore_inline')
                                      OR NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'eventstore')))
    LOOP
        RAISE EXCEPTION 'role % %, and is to be a role of the store', _role, _fault
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('choose another --schema if that role serves something else; else let an administrator run: '
                                'ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS', _role);
    END LOOP;
    -- Since PostgreSQL 16 whoever creates a role may grant it, but not become it without a grant.
    BEGIN
        SET LOCAL ROLE eventstore_owner;
        RAISE EXCEPTION USING ERRCODE = 'ST000';  -- takes the change of role back
    EXCEPTION
        WHEN SQLSTATE 'ST000' THEN
            NULL;
        WHEN insufficient_privilege THEN
            BEGIN
                EXECUTE format('GRANT eventstore_owner TO %I', current_user);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'user % is not a member of role eventstore_owner', current_user
                    USING ERRCODE = 'insufficient_privilege',
                          HINT = format('let an administrator run: GRANT eventstore_owner TO %I', current_user);
            END;
    END;
    -- Read tables are the workers'; the owner's functions rename and drop them. The code that workers
    -- put there runs as eventstore_inline.
    FOR _role, _member IN VALUES ('eventstore_worker', 'eventstore_inline'), ('eventstore_inline', 'eventstore_owner') LOOP
        CONTINUE WHEN pg_catalog.pg_has_role(_member, _role, 'USAGE');
        BEGIN
            EXECUTE format('GRANT %I TO %I', _role, _member);
        EXCEPTION
            WHEN unique_violation THEN
                NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role % is not a member of role %', _member, _role
                    USING ERRCODE = 'insufficient_privilege',
                          HINT = format('let an administrator run: GRANT %I TO %I', _role, _member);
        END;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'eventstore') THEN
        CREATE SCHEMA eventstore AUTHORIZATION eventstore_owner;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'eventstore_read') THEN
        CREATE SCHEMA eventstore_read AUTHORIZATION eventstore_owner;
    END IF;
END $$;
SET LOCAL ROLE eventstore_owner;
