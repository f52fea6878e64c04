package lab

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// WritePcap writes the recorded frames, with nanosecond times.
func (l *Lab) WritePcap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	put := func(v ...uint32) {
		for _, x := range v {
			binary.Write(w, binary.NativeEndian, x)
		}
	}
	const nanoseconds, version, ethernet = 0xa1b23c4d, 4<<16 | 2, 1
	put(nanoseconds, version, 0, 0, 1<<16, ethernet)
	l.mu.Lock()
	frames := l.frames
	l.mu.Unlock()
	for _, f := range frames {
		n := uint32(len(f.data))
		put(uint32(f.time.Unix()), uint32(f.time.Nanosecond()), n, n)
		w.Write(f.data)
	}
	return w.Flush()
}

// Malformed returns what tshark finds wrong with the recorded frames: malformed packets,
// wrong checksums, and expert notes of severity warning and above. It also returns how
// many frames tshark has read.
func (l *Lab) Malformed() (complaints []string, frames int, err error) {
	path := filepath.Join(l.Dir, "capture.pcap")
	if err := l.WritePcap(path); err != nil {
		return nil, 0, err
	}
	out, err := exec.Command("tshark", "-n", "-r", path,
		"-o", "ip.check_checksum:TRUE", "-o", "arp.detect_duplicate_ips:FALSE",
		"-T", "fields", "-E", "separator=|",
		"-e", "frame.number", "-e", "ip.checksum.status", "-e", "vrrp.checksum.status",
		"-e", "icmpv6.checksum.status", "-e", "_ws.expert.severity", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "_ws.col.Info").Output()
	if err != nil {
		return nil, 0, fmt.Errorf("tshark: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		frames++
		f := strings.SplitN(strings.TrimSpace(line), "|", 8)
		if len(f) < 8 {
			continue
		}
		const bad = "0"
		checksum := f[1] == bad || f[2] == bad || f[3] == bad
		severe := false
		for s := range strings.SplitSeq(f[4], ",") {
			severe = severe || s == "6291456" || s == "8388608" // warning, error
		}
		if checksum || severe || f[5] != "" {
			complaints = append(complaints, strings.TrimSpace(line))
		}
	}
	return complaints, frames, nil
}
