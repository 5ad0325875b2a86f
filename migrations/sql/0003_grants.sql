-- Readers look; writers and workers consume, operate, and make groups. A login that is only to consume
-- may be a reader and be given the three functions of members alone.
GRANT SELECT ON eventstore.consumer_groups, eventstore.consumer_workers, eventstore.deliveries,
    eventstore.consumer_status, eventstore.parked
    TO eventstore_writer, eventstore_reader, eventstore_worker;
REVOKE ALL ON FUNCTION
    eventstore.consumer_create_v1, eventstore.delete_consumer, eventstore.consumer_lock_v1, eventstore.consumer_reach_v1,
    eventstore.consumer_unheld_v1, eventstore.consumer_unblock_v1, eventstore.consumer_park_v1, eventstore.consumer_return_v1,
    eventstore.consumer_fill_v1, eventstore.consumer_receive_v1, eventstore.consumer_ack_v1, eventstore.consumer_nack_v1, eventstore.consumer_renew_v1,
    eventstore.consumer_seen_v1, eventstore.consumer_unrun_v1, eventstore.consumer_beat_v1, eventstore.consumer_leave_v1,
    eventstore.consumer_leases_v1, eventstore.consumer_lost_v1, eventstore.create_consumer,
    eventstore.receive, eventstore.ack, eventstore.nack, eventstore.replay_parked, eventstore.drop_parked
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    eventstore.consumer_create_v1, eventstore.delete_consumer,
    eventstore.consumer_receive_v1, eventstore.consumer_ack_v1, eventstore.consumer_nack_v1, eventstore.consumer_renew_v1,
    eventstore.consumer_beat_v1, eventstore.consumer_leave_v1,
    eventstore.consumer_leases_v1, eventstore.consumer_lost_v1, eventstore.create_consumer,
    eventstore.receive, eventstore.ack, eventstore.nack, eventstore.replay_parked, eventstore.drop_parked
    TO eventstore_writer, eventstore_worker;
