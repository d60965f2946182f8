module hangwatch/go_writer

go 1.19
