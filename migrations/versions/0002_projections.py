"""Projections: definitions, checkpoints, leases, failures, and waits."""

from frozen import run_file

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0002_projections.sql")
    run_file("functions/partition_of.sql")
    run_file("functions/projection_redefine_v1.sql")
    run_file("functions/projection_register_v1.sql")
    run_file("functions/projection_lease_v1.sql")
    run_file("functions/projection_beat_v1.sql")
    run_file("functions/projection_release_v1.sql")
    run_file("functions/projection_begin_v1.sql")
    run_file("functions/projection_checkpoint_v1.sql")
    run_file("functions/projection_try_v1.sql")
    run_file("functions/hold_appends_v1.sql")
    run_file("functions/projection_inline_v1.sql")
    run_file("functions/run_inline.sql")
    run_file("functions/apply_inline.sql")
    run_file("functions/projection_retry_v1.sql")
    run_file("functions/projection_fail_v1.sql")
    run_file("functions/projection_unpark_v1.sql")
    run_file("functions/projection_stop_v1.sql")
    run_file("functions/pause_projection.sql")
    run_file("functions/resume_projection.sql")
    run_file("functions/retry_parked.sql")
    run_file("functions/skip_parked.sql")
    run_file("functions/projection_position.sql")
    run_file("functions/check_projection_runs.sql")
    run_file("functions/check_not_parked.sql")
    run_file("functions/wait_for.sql")
    run_file("functions/wait_for_stream.sql")
    run_file("functions/begin_epoch_0002.sql")
    run_file("functions/freeze_projection.sql")
    run_file("functions/read_table_names.sql")
    run_file("functions/lock_read_tables.sql")
    run_file("functions/switch_gap.sql")
    run_file("functions/switch_projection.sql")
    run_file("functions/drop_projection.sql")
    run_file("functions/empty_read_table.sql")
    run_file("functions/rebuild_projection.sql")
    run_file("functions/read_table_sum.sql")
    run_file("functions/compare_projection.sql")
    run_file("0002_views.sql")
    run_file("0002_grants.sql")
    run_file("0002_comments.sql")
