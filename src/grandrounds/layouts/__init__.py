"""One file for each way in which labelled images lie on disk; `grandrounds.data.catalogue` names them."""
