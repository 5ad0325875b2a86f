-- Readers see everything; workers run projections and write read tables, which are made as
-- eventstore_worker so that every worker may change them; writers and workers may operate.
GRANT SELECT ON eventstore.projection_versions, eventstore.projection_partitions, eventstore.projection_workers,
    eventstore.projection_failures, eventstore.projection_status, eventstore.projection_positions
    TO eventstore_writer, eventstore_reader, eventstore_worker;
REVOKE ALL ON FUNCTION
    eventstore.partition_of, eventstore.projection_redefine_v1, eventstore.projection_register_v1,
    eventstore.projection_lease_v1, eventstore.projection_beat_v1,
    eventstore.projection_release_v1, eventstore.projection_begin_v1, eventstore.projection_checkpoint_v1,
    eventstore.projection_try_v1, eventstore.projection_retry_v1, eventstore.hold_appends_v1,
    eventstore.projection_inline_v1,
    eventstore.projection_fail_v1, eventstore.projection_unpark_v1, eventstore.projection_stop_v1,
    eventstore.pause_projection, eventstore.resume_projection, eventstore.retry_parked, eventstore.skip_parked,
    eventstore.projection_position, eventstore.check_projection_runs, eventstore.check_not_parked,
    eventstore.wait_for(text, bigint, interval), eventstore.wait_for(text, text, bigint, interval),
    eventstore.freeze_projection, eventstore.read_table_names, eventstore.lock_read_tables, eventstore.switch_gap,
    eventstore.switch_projection, eventstore.drop_projection, eventstore.rebuild_projection,
    eventstore.read_table_sum, eventstore.compare_projection, eventstore.apply_inline,
    eventstore.run_inline, eventstore.empty_read_table
    FROM PUBLIC;
-- What workers make may hold any code, so it is run as eventstore_worker only: by these, which the
-- owner may call as a member of that role.
GRANT CREATE ON SCHEMA eventstore TO eventstore_worker;
ALTER FUNCTION eventstore.run_inline OWNER TO eventstore_worker;
ALTER FUNCTION eventstore.empty_read_table OWNER TO eventstore_worker;
ALTER FUNCTION eventstore.read_table_sum OWNER TO eventstore_worker;
REVOKE CREATE ON SCHEMA eventstore FROM eventstore_worker;
GRANT EXECUTE ON FUNCTION
    eventstore.partition_of, eventstore.projection_position, eventstore.check_projection_runs, eventstore.check_not_parked,
    eventstore.wait_for(text, bigint, interval), eventstore.wait_for(text, text, bigint, interval),
    eventstore.compare_projection
    TO eventstore_writer, eventstore_reader, eventstore_worker;
GRANT EXECUTE ON FUNCTION
    eventstore.pause_projection, eventstore.resume_projection, eventstore.retry_parked, eventstore.skip_parked,
    eventstore.switch_projection, eventstore.drop_projection, eventstore.rebuild_projection
    TO eventstore_writer, eventstore_worker;
GRANT EXECUTE ON FUNCTION
    eventstore.projection_register_v1, eventstore.projection_lease_v1, eventstore.projection_beat_v1, eventstore.projection_release_v1,
    eventstore.projection_begin_v1, eventstore.projection_checkpoint_v1, eventstore.projection_try_v1,
    eventstore.projection_retry_v1, eventstore.hold_appends_v1, eventstore.projection_inline_v1,
    eventstore.projection_fail_v1, eventstore.projection_unpark_v1, eventstore.projection_stop_v1
    TO eventstore_worker;
GRANT USAGE ON SCHEMA eventstore_read TO eventstore_writer, eventstore_reader, eventstore_worker;
GRANT CREATE ON SCHEMA eventstore_read TO eventstore_worker;
