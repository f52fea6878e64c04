package supervisor

import (
	"errors"
	"regexp"
	"strconv"
	"time"
)

// reloadTime is the first line of a reload_time_file.
type reloadTime struct {
	dated            bool
	year, month, day int // if dated
	hour, min, sec   int
	utc              bool // else in the local zone
}

var reloadTimeForm = regexp.MustCompile(`^(?:(\d{2}|\d{4})-(\d{2})-(\d{2}) )?(\d{2}):(\d{2}):(\d{2})(Z?)$`)

var (
	errTimeForm = errors.New("expected HH:MM:SS, YY-MM-DD HH:MM:SS or YYYY-MM-DD HH:MM:SS, with a Z at the end for UTC and no other blanks")
	errNoTime   = errors.New("this time does not exist")
	errPast     = errors.New("this time has passed")
)

// parseReloadTime reads the first line of a reload_time_file.
func parseReloadTime(line string) (reloadTime, error) {
	m := reloadTimeForm.FindStringSubmatch(line)
	if m == nil {
		return reloadTime{}, errTimeForm
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	t := reloadTime{dated: m[1] != "", year: n(1), month: n(2), day: n(3), hour: n(4), min: n(5), sec: n(6), utc: m[7] != ""}
	if len(m[1]) == 2 {
		t.year += 2000
	}
	valid := t.hour < 24 && t.min < 60 && t.sec < 60
	if t.dated {
		date := time.Date(t.year, time.Month(t.month), t.day, 0, 0, 0, 0, time.UTC)
		valid = valid && date.Month() == time.Month(t.month) && date.Day() == t.day
	}
	if !valid {
		return reloadTime{}, errNoTime
	}
	return t, nil
}

// next returns the first moment after now that t speaks of, in the zone of now
// or in UTC. A dated time that is over is errPast.
func (t reloadTime) next(now time.Time) (time.Time, error) {
	zone := now.Location()
	if t.utc {
		zone = time.UTC
	}
	if t.dated {
		at := moment(t.year, t.month, t.day, t.hour, t.min, t.sec, zone)
		if at.Before(now) {
			return time.Time{}, errPast
		}
		return at, nil
	}
	today := now.In(zone)
	for day := today.Day(); ; day++ {
		at := moment(today.Year(), int(today.Month()), day, t.hour, t.min, t.sec, zone)
		if at.After(now) {
			return at, nil
		}
	}
}

// moment is when the clocks of a zone show a time. Where they show it twice, at
// the end of summer time, it is the first; where they leave it out, it is as
// much later on the clock as that is put forward.
func moment(year, month, day, hour, min, sec int, zone *time.Location) time.Time {
	at := time.Date(year, time.Month(month), day, hour, min, sec, 0, zone)
	shown := time.Date(year, time.Month(month), day, hour, min, sec, 0, time.UTC)
	_, offset := at.Zone()
	switch shows := at.Add(time.Duration(offset) * time.Second).UTC(); {
	case shows.Before(shown): // taken for a time of the summer that begins
		return shown.Add(-time.Duration(offset) * time.Second).In(zone)
	case shows.After(shown):
		return at
	}
	if began, _ := at.ZoneBounds(); !began.IsZero() {
		_, before := began.Add(-time.Second).Zone()
		if first := shown.Add(-time.Duration(before) * time.Second); first.Before(began) {
			return first.In(zone)
		}
	}
	return at
}
