package controld

import (
	"reflect"
	"strings"
	"time"

	"keepalived-go/internal/output/status/api"
)

// A description of the routes in the words of OpenAPI 3.1: the fields of the types, with
// their tags doc, are the properties of the schemas.
type (
	openapi struct {
		OpenAPI string                          `json:"openapi"`
		Info    info                            `json:"info"`
		Paths   map[string]map[string]operation `json:"paths"`
		Parts   components                      `json:"components"`
	}
	info struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	}
	components struct {
		Schemas map[string]*schema `json:"schemas"`
	}
	operation struct {
		Summary    string              `json:"summary"`
		Parameters []parameter         `json:"parameters,omitempty"`
		Request    *response           `json:"requestBody,omitempty"`
		Responses  map[string]response `json:"responses"`
	}
	parameter struct {
		Name        string  `json:"name"`
		In          string  `json:"in"`
		Description string  `json:"description"`
		Required    bool    `json:"required"`
		Schema      *schema `json:"schema"`
	}
	response struct {
		Description string             `json:"description"`
		Content     map[string]content `json:"content"`
	}
	content struct {
		Schema *schema `json:"schema"`
	}
	schema struct {
		Ref         string             `json:"$ref,omitempty"`
		Type        string             `json:"type,omitempty"`
		Format      string             `json:"format,omitempty"`
		Description string             `json:"description,omitempty"`
		Items       *schema            `json:"items,omitempty"`
		Values      *schema            `json:"additionalProperties,omitempty"`
		Properties  map[string]*schema `json:"properties,omitempty"`
		Required    []string           `json:"required,omitempty"`
	}
)

const schemaPath = "#/components/schemas/"

// describe is the description of routes.
func describe(list []route) *openapi {
	d := &openapi{
		OpenAPI: "3.1.0",
		Info:    info{"keepalived", "1", "What a running keepalived answers on its control socket, and with http_listen over TCP. A later release may add fields."},
		Paths:   map[string]map[string]operation{},
		Parts:   components{map[string]*schema{}},
	}
	for i := range list {
		r := &list[i]
		method, path, _ := strings.Cut(strings.TrimSuffix(r.pattern, "{$}"), " ")
		if d.Paths[path] == nil {
			d.Paths[path] = map[string]operation{}
		}
		d.Paths[path][strings.ToLower(method)] = d.operation(r)
	}
	return d
}

func (d *openapi) operation(r *route) operation {
	o := operation{Summary: r.summary, Responses: map[string]response{
		"200":     {"the answer", map[string]content{r.media: {&schema{Type: "string"}}}},
		"default": {"why there is no other answer", map[string]content{jsonText: {d.schema(reflect.TypeFor[failure]())}}},
	}}
	if r.answer != nil {
		o.Responses["200"] = response{"the answer", map[string]content{jsonText: {d.schema(reflect.TypeOf(r.answer))}}}
	}
	if r.request != nil {
		o.Request = &response{"what is asked for; nothing at all stands for an empty object", map[string]content{jsonText: {d.schema(reflect.TypeOf(r.request))}}}
	}
	for _, p := range r.params {
		o.Parameters = append(o.Parameters, parameter{p.name, p.in, p.doc, p.in == "path", &schema{Type: "string"}})
	}
	return o
}

// schema describes the values of a type as JSON has them. Structures get names.
func (d *openapi) schema(t reflect.Type) *schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}
	case t == reflect.TypeFor[api.Seconds]():
		return &schema{Type: "number", Format: "double"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem())
	case reflect.Slice:
		return &schema{Type: "array", Items: d.schema(t.Elem())}
	case reflect.Map:
		return &schema{Type: "object", Values: d.schema(t.Elem())}
	case reflect.Struct:
		if _, known := d.Parts.Schemas[t.Name()]; !known {
			s := &schema{Type: "object", Properties: map[string]*schema{}}
			d.Parts.Schemas[t.Name()] = s
			d.fields(s, t)
		}
		return &schema{Ref: schemaPath + t.Name()}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	}
	if n := reflect.New(t).Elem(); !asWord(t) && (n.CanInt() || n.CanUint()) {
		return &schema{Type: "integer"}
	}
	return &schema{Type: "string"}
}

// asWord reports whether the values of a type are written as words.
func asWord(t reflect.Type) bool {
	_, ok := t.MethodByName("MarshalText")
	return ok
}

// fields adds the fields of a structure to its schema.
func (d *openapi) fields(s *schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			d.fields(s, f.Type)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		p := d.schema(f.Type)
		p.Description = f.Tag.Get("doc")
		s.Properties[name] = p
		if options != "omitempty" {
			s.Required = append(s.Required, name)
		}
	}
}
