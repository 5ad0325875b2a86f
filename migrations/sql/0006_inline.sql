-- What workers make may hold any code. It is run as eventstore_inline only, which has a worker's
-- rights and is granted to nobody but the owner: workers cannot touch the functions that run it.
GRANT CREATE ON SCHEMA eventstore TO eventstore_inline;
ALTER FUNCTION eventstore.run_inline OWNER TO eventstore_inline;
ALTER FUNCTION eventstore.empty_read_table OWNER TO eventstore_inline;
ALTER FUNCTION eventstore.read_table_sum OWNER TO eventstore_inline;
REVOKE CREATE ON SCHEMA eventstore FROM eventstore_inline;
REVOKE ALL ON FUNCTION
    eventstore.run_inline, eventstore.empty_read_table, eventstore.read_table_sum,
    eventstore.surroundings_v1, eventstore.refuse_changes_v1
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION eventstore.surroundings_v1, eventstore.refuse_changes_v1 TO eventstore_inline;

COMMENT ON FUNCTION eventstore.surroundings_v1 IS 'Part of what runs the code of workers: what that code has to leave as it is';
COMMENT ON FUNCTION eventstore.refuse_changes_v1 IS 'Part of what runs the code of workers: refuses what that code changed around itself';
