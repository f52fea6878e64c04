package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
)

// defaultUser runs scripts where nothing else is configured. With
// enable_script_security no other user does; without, the user of the daemon where
// there is no such account.
const defaultUser = "keepalived_script"

// Check reports, as a [*Problem], why c cannot be run. A command without words
// asks about its user alone.
func Check(c conf.Command, p conf.ScriptPolicy) error {
	if len(c.Args) == 0 {
		return new(Program).setUser(c, p)
	}
	_, err := Resolve(c, p)
	return err
}

// Account returns as whom something is run for which user and group are
// configured. The error is a [*Problem].
func Account(user, group string, p conf.ScriptPolicy) (uid, gid uint32, err error) {
	var prog Program
	err = prog.setUser(conf.Command{User: user, Group: group}, p)
	return prog.UID, prog.GID, err
}

// Resolve finds the file that c names and the user who is to run it. A name
// without a slash is searched in PATH. The error is a [*Problem].
func Resolve(c conf.Command, p conf.ScriptPolicy) (*Program, error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return nil, &Problem{Code: Empty, Message: "the command is empty"}
	}
	prog := &Program{Args: slices.Clone(c.Args), Secure: p.Secure}
	if err := prog.setUser(c, p); err != nil {
		return nil, err
	}
	path := c.Args[0]
	if strings.HasPrefix(path, "<") {
		var err error
		if path, err = prog.test(path); err != nil || prog.Connect != "" {
			return prog, err
		}
	}
	switch {
	case !strings.Contains(path, "/"):
		found, err := searchPath(path)
		if err != nil {
			return nil, err
		}
		path = found
		prog.Notes = append(prog.Notes, fmt.Sprintf("WARNING - script `%s` resolved by path search to `%s`. Please specify full path.", c.Args[0], path))
	case !filepath.IsAbs(path):
		// Not cleaned: a/../b is not b where a is a symbolic link.
		dir, err := os.Getwd()
		if err != nil {
			return nil, &Problem{Missing, path, fmt.Sprintf("%s is relative to an unknown working directory: %v", path, err), "write its absolute path"}
		}
		path = dir + "/" + path
	}
	prog.Path = path
	f, err := prog.inspect()
	if err != nil {
		return nil, err
	}
	prog.Shell = f.shell
	if !p.SymlinkPaths {
		prog.Path = f.path
	}
	return prog, nil
}

// Find returns the path of the file that [Resolve] would run for the first word
// of a command, without judging it: found in PATH, and without symbolic links
// unless the policy keeps them. A word that names no file is returned as it is.
func Find(word string, p conf.ScriptPolicy) string {
	if word == "" || word[0] == '<' {
		return word
	}
	path := word
	if !strings.Contains(path, "/") {
		found, err := searchPath(path)
		if err != nil {
			return word
		}
		path = found
	}
	if !p.SymlinkPaths {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return word
		}
		path = real
	}
	if path, err := filepath.Abs(path); err == nil {
		return path
	}
	return word
}

// searchPath finds name as execvp(3) does, but never in the working directory.
func searchPath(name string) (string, error) {
	dirs := os.Getenv("PATH")
	if dirs == "" {
		dirs = "/usr/local/bin:/usr/bin:/bin"
	}
	for _, dir := range filepath.SplitList(dirs) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		switch info, err := os.Stat(path); {
		case err != nil && !Decides(err): // it may be there, and come before what the others have
			return "", &Problem{Code: Undecided, Path: path, Message: fmt.Sprintf("search %s: %v", name, err)}
		case err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0:
			return path, nil
		}
	}
	return "", &Problem{Missing, name, fmt.Sprintf("%s was not found in PATH (%s)", name, dirs), "write its absolute path"}
}

// setUser decides as whom c runs.
func (prog *Program) setUser(c conf.Command, p conf.ScriptPolicy) error {
	name, group := c.User, c.Group
	if rest, ok := strings.CutPrefix(name, ":"); ok { // :GROUP
		name, group = "", rest
	}
	group = strings.TrimPrefix(group, ":")
	if name == "" && group == "" {
		name, group = p.User, strings.TrimPrefix(p.Group, ":")
	} else if name == "" {
		name = p.User
	}

	var account *user.User
	switch {
	case name != "":
		var err error
		if account, err = lookupUser(name); err != nil && !Decides(err) {
			return notLookedUp("user", name, err)
		} else if err != nil {
			id, numErr := parseID(name)
			if numErr != nil && isNumber(name) {
				return &Problem{Code: UnknownUser, Message: numErr.Error()}
			} else if numErr != nil {
				return &Problem{Code: UnknownUser, Message: unknown("user", name, err), Remedy: addAccount("useradd", name)}
			}
			if group == "" {
				return &Problem{Code: UnknownUser,
					Message: fmt.Sprintf("user %s has no account, and so no group", name),
					Remedy:  "write a group after the user"}
			}
			account, prog.UID = nil, id
		}
	case p.Secure:
		var err error
		if account, err = user.Lookup(defaultUser); err != nil && !Decides(err) {
			return notLookedUp("user", defaultUser, err)
		} else if err != nil {
			return &Problem{Code: UnknownUser,
				Message: fmt.Sprintf("%s, and with enable_script_security there is no other default user", unknown("user", defaultUser, err)),
				Remedy:  "useradd --system " + defaultUser + ", or write script_user in global_defs"}
		}
	case canBecome():
		var err error
		if account, err = user.Lookup(defaultUser); err != nil && !Decides(err) {
			return notLookedUp("user", defaultUser, err)
		} else if err != nil && !isUnknown(err) {
			return &Problem{Code: UnknownUser, Message: unknown("user", defaultUser, err), Remedy: "write script_user in global_defs"}
		}
	}
	if account != nil {
		uid, err1 := parseID(account.Uid)
		gid, err2 := parseID(account.Gid)
		if err := errors.Join(err1, err2); err != nil {
			return &Problem{Code: UnknownUser, Message: fmt.Sprintf("account %s: %v", account.Username, err)}
		}
		prog.UID, prog.GID = uid, gid
	} else if name == "" {
		prog.UID, prog.GID = uint32(os.Geteuid()), uint32(os.Getegid())
	}
	if group != "" {
		g, err := lookupGroup(group)
		if err != nil && !Decides(err) && !errors.Is(err, errID) {
			return notLookedUp("group", group, err)
		} else if err != nil && isNumber(group) {
			return &Problem{Code: UnknownGroup, Message: err.Error()}
		} else if err != nil {
			return &Problem{Code: UnknownGroup, Message: unknown("group", group, err), Remedy: addAccount("groupadd", group)}
		}
		prog.GID = g
	}
	if p.SupplementaryGroups {
		if account == nil {
			var err error
			if account, err = user.LookupId(strconv.FormatUint(uint64(prog.UID), 10)); err != nil && !Decides(err) {
				return notLookedUp("user", strconv.FormatUint(uint64(prog.UID), 10), err)
			}
		}
		if err := prog.addGroups(account); err != nil {
			return err
		}
	}
	what := "scripts"
	if len(c.Args) > 0 {
		what = c.Args[0]
	}
	if !canBecome() && (prog.UID != uint32(os.Geteuid()) || prog.GID != uint32(os.Getegid())) {
		return &Problem{Code: CannotBecome,
			Message: fmt.Sprintf("user %s, group %s should run %s, but keepalived runs as user %s, and %s",
				userName(prog.UID), groupName(prog.GID), what, userName(uint32(os.Geteuid())), whyNot()),
			Remedy: "run keepalived as root, or remove the user"}
	}
	return nil
}

// addGroups sets the supplementary groups that the account is in. Who has none
// is in no groups.
func (prog *Program) addGroups(account *user.User) error {
	if account == nil {
		return nil
	}
	ids, err := account.GroupIds()
	if err != nil {
		return &Problem{Code: unless(err, UnknownGroup), Message: fmt.Sprintf("groups of user %s: %v", account.Username, err)}
	}
	groups := []uint32{prog.GID}
	for _, id := range ids {
		gid, err := parseID(id)
		if err != nil {
			return &Problem{Code: UnknownGroup, Message: fmt.Sprintf("groups of user %s: %v", account.Username, err)}
		}
		if !slices.Contains(groups, gid) {
			groups = append(groups, gid)
		}
	}
	prog.Groups = groups
	return nil
}

// lookupUser finds an account by its name or number.
func lookupUser(s string) (*user.User, error) {
	u, err := user.Lookup(s)
	if err != nil && Decides(err) && isNumber(s) {
		return user.LookupId(s)
	}
	return u, err
}

// lookupGroup finds a group by its name; a number need not have a name.
func lookupGroup(s string) (uint32, error) {
	g, err := user.LookupGroup(s)
	if err == nil {
		return parseID(g.Gid)
	}
	if Decides(err) && isNumber(s) {
		return parseID(s)
	}
	return 0, err
}

// notLookedUp is the problem of an account of which nothing is known.
func notLookedUp(what, name string, err error) *Problem {
	return &Problem{Code: Undecided, Message: unknown(what, name, err)}
}

func unknown(what, name string, err error) string {
	if isUnknown(err) {
		return fmt.Sprintf("there is no %s %s", what, name)
	}
	return fmt.Sprintf("look up %s %s: %v", what, name, err)
}

// isUnknown reports whether a look-up reports that there is no such account. Any
// other error leaves that open.
func isUnknown(err error) bool {
	var noUser user.UnknownUserError
	var noID user.UnknownUserIdError
	var noGroup user.UnknownGroupError
	return errors.As(err, &noUser) || errors.As(err, &noID) || errors.As(err, &noGroup) || errors.Is(err, fs.ErrNotExist)
}

// addAccount is the command that makes a missing account. What cannot be the
// name of one is an argument of the program that stands outside of its quotes.
func addAccount(tool, name string) string {
	const allowed = "_-.abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || name[0] == '-' || strings.Trim(name, allowed) != "" {
		return "put the program and its arguments in one pair of quotes; the words after it are the user and the group"
	}
	return tool + " --system " + name
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

var errID = errors.New("is not the number of a user or group")

// parseID reads the number of a user or group; 2³²−1 means "no change" to the
// kernel and is none.
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q %w (0 to %d)", s, errID, uint32(1<<32-2))
	}
	return uint32(n), nil
}

// OwnUser is the name of the account that this process runs as; empty: it has
// none.
func OwnUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func userName(uid uint32) string {
	if u, err := user.LookupId(strconv.Itoa(int(uid))); err == nil {
		return u.Username
	}
	return strconv.Itoa(int(uid))
}

func groupName(gid uint32) string {
	if g, err := user.LookupGroupId(strconv.Itoa(int(gid))); err == nil {
		return g.Name
	}
	return strconv.Itoa(int(gid))
}

// canBecome reports whether this process may take any user and group. Root of a user
// namespace that an ordinary user has made may not: groups are denied there.
func canBecome() bool {
	if groupsDenied() {
		return false
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return os.Geteuid() == 0
	}
	const both = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return data[0].Effective&both == both
}

// whyNot is why this process may not take another user.
func whyNot() string {
	if os.Geteuid() == 0 {
		return "may not switch users in this user namespace, or without CAP_SETUID and CAP_SETGID"
	}
	return "only root can switch users"
}

// groupsDenied reports whether this process is in a user namespace without setgroups(2)
// (user_namespaces(7)). This does not change.
var groupsDenied = sync.OnceValue(func() bool {
	b, err := os.ReadFile("/proc/self/setgroups")
	return err == nil && strings.TrimSpace(string(b)) == "deny"
})
