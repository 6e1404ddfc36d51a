import sys
from pathlib import Path

# `engine` is shared with the folders of oracle, scoreboard and format.
sys.path.insert(0, str(Path(__file__).parent))
