GRANT USAGE ON SCHEMA eventstore TO eventstore_writer, eventstore_reader, eventstore_worker;
GRANT SELECT ON ALL TABLES IN SCHEMA eventstore TO eventstore_writer, eventstore_reader, eventstore_worker;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA eventstore FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    eventstore.query_paths_v1, eventstore.matching_v1, eventstore.matching_backward_v1,
    eventstore.read_stream, eventstore.read_all
    TO eventstore_writer, eventstore_reader, eventstore_worker;
GRANT EXECUTE ON FUNCTION eventstore.append_v1, eventstore.append TO eventstore_writer, eventstore_worker;
