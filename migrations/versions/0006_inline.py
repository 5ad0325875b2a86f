"""The code of workers runs as a role of its own, and leaves settings as they are."""

from frozen import run_file

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_file("functions/surroundings_v1.sql")
    run_file("functions/refuse_changes_v1.sql")
    run_file("functions/run_inline_0006.sql")
    run_file("functions/empty_read_table_0006.sql")
    run_file("functions/read_table_sum_0006.sql")
    run_file("0006_inline.sql")
