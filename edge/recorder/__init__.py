"""The recorder of an edge: reads the part log and keeps finished segments in the spool on disk.

Built by `edge.app` through `service.RecorderService`, one process for a site's disk. Viewers rewind in what it
keeps. It only reads the log; nobody waits for it, and when it is away viewers still have the log's last minutes. It
never lists a segment in an index before its bytes are on disk, never changes a byte it has listed, and keeps within
its share of the disk by removing the oldest first.
"""
