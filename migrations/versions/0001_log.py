"""The log: events, append, read."""

from frozen import run_file

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("0001_tables.sql")
    run_file("functions/query_paths_v1.sql")
    run_file("functions/matching_v1.sql")
    run_file("functions/matching_backward_v1.sql")
    run_file("functions/query_fault_v1.sql")
    run_file("functions/append_refusals_v1.sql")
    run_file("functions/append_v1.sql")
    run_file("functions/append.sql")
    run_file("functions/read_stream.sql")
    run_file("functions/read_all.sql")
    run_file("functions/begin_epoch.sql")
    run_file("0001_views.sql")
    run_file("0001_grants.sql")
    run_file("0001_comments.sql")
