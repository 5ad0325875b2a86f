"""Consumer groups: competing members, order per stream, leases, parked deliveries."""

from frozen import run_file

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0003_consumers.sql")
    run_file("functions/consumer_seen_v1.sql")
    run_file("functions/consumer_unrun_v1.sql")
    run_file("functions/consumer_create_v1.sql")
    run_file("functions/delete_consumer.sql")
    run_file("functions/consumer_lock_v1.sql")
    run_file("functions/consumer_reach_v1.sql")
    run_file("functions/consumer_unheld_v1.sql")
    run_file("functions/consumer_unblock_v1.sql")
    run_file("functions/consumer_park_v1.sql")
    run_file("functions/consumer_return_v1.sql")
    run_file("functions/consumer_fill_v1.sql")
    run_file("functions/consumer_receive_v1.sql")
    run_file("functions/consumer_ack_v1.sql")
    run_file("functions/consumer_nack_v1.sql")
    run_file("functions/consumer_renew_v1.sql")
    run_file("functions/consumer_beat_v1.sql")
    run_file("functions/consumer_leave_v1.sql")
    run_file("functions/receive.sql")
    run_file("functions/create_consumer.sql")
    run_file("functions/consumer_leases_v1.sql")
    run_file("functions/consumer_lost_v1.sql")
    run_file("functions/ack.sql")
    run_file("functions/nack.sql")
    run_file("functions/replay_parked.sql")
    run_file("functions/drop_parked.sql")
    run_file("functions/begin_epoch_0003.sql")
    run_file("0003_views.sql")
    run_file("0003_grants.sql")
    run_file("0003_comments.sql")
