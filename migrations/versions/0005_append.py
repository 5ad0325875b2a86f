"""Appends as strict in SQL as everywhere, and retries that are judged by what was sent."""

from frozen import run_file

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("functions/name_fault_v1.sql")
    run_file("functions/json_fault_v1.sql")
    run_file("functions/json_size_v1.sql")
    run_file("functions/append_fault_v1.sql")
    run_file("functions/query_fault_v1_0005.sql")
    run_file("functions/append_refusals_v2.sql")
    run_file("functions/append_v1_0005.sql")
    run_file("functions/append_0005.sql")
    run_file("0005_append.sql")
