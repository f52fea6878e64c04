package checkd

import "keepalived-go/internal/proc/link"

func (d *daemon) dump(kind link.Kind) {}
func (d *daemon) answer(id uint32)    {}
