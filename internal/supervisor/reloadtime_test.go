package supervisor

import (
	"errors"
	"testing"
	"time"
	_ "time/tzdata" // the zones below, on any machine
)

func TestReloadTimeNext(t *testing.T) {
	const form = "2006-01-02 15:04:05 -0700"
	for _, tt := range []struct {
		name, zone, now string
		line, want      string
	}{
		{"later today", "Europe/Berlin", "2026-06-01 10:00:00", "10:00:01", "2026-06-01 10:00:01 +0200"},
		{"now is tomorrow", "Europe/Berlin", "2026-06-01 10:00:00", "10:00:00", "2026-06-02 10:00:00 +0200"},
		{"earlier is tomorrow", "Europe/Berlin", "2026-06-01 10:00:00", "09:59:59", "2026-06-02 09:59:59 +0200"},
		{"over the end of a year", "Europe/Berlin", "2026-12-31 23:59:59", "00:00:00", "2027-01-01 00:00:00 +0100"},
		{"UTC today", "Europe/Berlin", "2026-06-01 10:00:00", "08:30:00Z", "2026-06-01 08:30:00 +0000"},
		{"UTC tomorrow", "Europe/Berlin", "2026-06-01 10:00:00", "07:30:00Z", "2026-06-02 07:30:00 +0000"},
		{"the day in UTC is another", "Pacific/Auckland", "2026-06-02 08:00:00", "21:00:00Z", "2026-06-01 21:00:00 +0000"},
		{"date", "Europe/Berlin", "2026-06-01 10:00:00", "2026-06-01 10:00:01", "2026-06-01 10:00:01 +0200"},
		{"date that is now", "Europe/Berlin", "2026-06-01 10:00:00", "2026-06-01 10:00:00", "2026-06-01 10:00:00 +0200"},
		{"short year", "Europe/Berlin", "2026-06-01 10:00:00", "31-01-02 03:04:05", "2031-01-02 03:04:05 +0100"},
		{"date in UTC", "America/New_York", "2026-06-01 10:00:00", "26-06-01 14:00:01Z", "2026-06-01 14:00:01 +0000"},
		{"leap day", "UTC", "2026-06-01 10:00:00", "2028-02-29 00:00:00", "2028-02-29 00:00:00 +0000"},

		// On 29 March 2026 the clocks go from 02:00 to 03:00.
		{"left out", "Europe/Berlin", "2026-03-29 00:00:00", "02:30:00", "2026-03-29 03:30:00 +0200"},
		{"left out, dated", "Europe/Berlin", "2026-03-01 00:00:00", "2026-03-29 02:30:00", "2026-03-29 03:30:00 +0200"},
		{"after what is left out", "Europe/Berlin", "2026-03-29 03:45:00", "02:30:00", "2026-03-30 02:30:00 +0200"},
		{"over the beginning of summer time", "Europe/Berlin", "2026-03-28 12:00:00", "11:00:00", "2026-03-29 11:00:00 +0200"},
		{"left out in the west", "America/New_York", "2026-03-08 00:00:00", "02:30:00", "2026-03-08 03:30:00 -0400"},
		{"left out at midnight", "America/Santiago", "2026-09-05 23:00:00", "00:15:00", "2026-09-06 01:15:00 -0300"},
		// On 25 October 2026 the clocks go from 03:00 to 02:00.
		{"shown twice", "Europe/Berlin", "2026-10-25 00:00:00", "02:30:00", "2026-10-25 02:30:00 +0200"},
		{"shown twice in the west", "America/New_York", "2026-11-01 00:00:00", "01:30:00", "2026-11-01 01:30:00 -0400"},
		{"over the end of summer time", "Europe/Berlin", "2026-10-24 12:00:00", "11:00:00", "2026-10-25 11:00:00 +0100"},
		{"half an hour", "Australia/Lord_Howe", "2026-04-05 00:00:00", "01:45:00", "2026-04-05 01:45:00 +1100"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			now, err := time.ParseInLocation(time.DateTime, tt.now, zone)
			if err != nil {
				t.Fatal(err)
			}
			r, err := parseReloadTime(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			at, err := r.next(now)
			if got := at.Format(form); err != nil || got != tt.want {
				t.Errorf("%q after %s: %s, %v; want %s", tt.line, now.Format(form), got, err, tt.want)
			}
		})
	}
}

// TestReloadTimeOncePerDay checks that a day on which the clock shows a time twice has
// one reload.
func TestReloadTimeOncePerDay(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 10, 24, 12, 0, 0, 0, zone)
	for _, want := range []string{"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"} {
		if at, err = (reloadTime{hour: 2, min: 30}).next(at); err != nil || at.Format("2006-01-02 15:04:05 -0700") != want {
			t.Errorf("%v, %v; want %s", at, err, want)
		}
	}
}

// TestReloadTimeAfterTheClockWasSet checks the time of a reload after the clock was set:
// a time of day moves to its next occurrence, a date does not move.
func TestReloadTimeAfterTheClockWasSet(t *testing.T) {
	before := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	daily, _ := parseReloadTime("12:00:00")
	dated, _ := parseReloadTime("2026-06-01 12:00:00")
	for _, tt := range []struct {
		name         string
		now          time.Time
		daily, dated string
	}{
		{"not set", before, "2026-06-01 12:00:00", "2026-06-01 12:00:00"},
		{"back by a day", before.AddDate(0, 0, -1), "2026-05-31 12:00:00", "2026-06-01 12:00:00"},
		{"on past it", before.Add(3 * time.Hour), "2026-06-02 12:00:00", errPast.Error()},
	} {
		for _, of := range []struct {
			r    reloadTime
			want string
		}{{daily, tt.daily}, {dated, tt.dated}} {
			at, err := of.r.next(tt.now)
			got := at.Format(time.DateTime)
			if err != nil {
				got = err.Error()
			}
			if got != of.want {
				t.Errorf("%s: %s, want %s", tt.name, got, of.want)
			}
		}
	}
}

func TestParseReloadTimeRefuses(t *testing.T) {
	for _, tt := range []struct {
		line string
		want error
	}{
		{"", errTimeForm}, {"10:00", errTimeForm}, {"9:00:00", errTimeForm}, {" 10:00:00", errTimeForm},
		{"10:00:00 ", errTimeForm}, {"10:00:00 Z", errTimeForm}, {"10:00:00z", errTimeForm}, {"10:00:00ZZ", errTimeForm},
		{"10:00:00.5", errTimeForm}, {"nonsense", errTimeForm}, {"2026-06-01", errTimeForm},
		{"2026-06-01  10:00:00", errTimeForm}, {"2026-06-01T10:00:00", errTimeForm}, {"126-06-01 10:00:00", errTimeForm},
		{"10:00:00\r", errTimeForm}, {"１０:00:00", errTimeForm},
		{"24:00:00", errNoTime}, {"10:60:00", errNoTime}, {"23:59:60", errNoTime},
		{"2026-02-30 10:00:00", errNoTime}, {"2027-02-29 10:00:00", errNoTime}, {"26-13-01 10:00:00", errNoTime}, {"2026-00-10 10:00:00", errNoTime},
	} {
		if _, err := parseReloadTime(tt.line); !errors.Is(err, tt.want) {
			t.Errorf("%q: %v, want %v", tt.line, err, tt.want)
		}
	}
	r, err := parseReloadTime("2026-01-01 10:00:00")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.next(time.Date(2026, 1, 1, 10, 0, 1, 0, time.UTC)); err != errPast {
		t.Errorf("a time that is over: %v", err)
	}
}

// FuzzReloadTime checks for any zone and moment that the next occurrence of a time of day
// is within 26 hours, and that the clock shows it, unless that day leaves it out.
func FuzzReloadTime(f *testing.F) {
	f.Add("10:00:00", int64(1774745999))
	f.Add("2026-03-29 02:30:00Z", int64(0))
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string, unix int64) {
		r, err := parseReloadTime(line)
		if err != nil || unix < 0 || unix > 1<<33 {
			return
		}
		now := time.Unix(unix, 0).In(zone)
		at, err := r.next(now)
		switch {
		case err != nil && !r.dated:
			t.Fatalf("%q: %v", line, err)
		case err == nil && at.Before(now), !r.dated && !at.After(now), !r.dated && at.Sub(now) > 26*time.Hour:
			t.Fatalf("%q after %v: %v", line, now, at)
		case err == nil && !r.dated && at.Minute() != r.min:
			t.Fatalf("%q after %v: %v", line, now, at)
		}
	})
}
