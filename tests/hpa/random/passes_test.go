package podautoscaler

import (
	"context"
	"errors"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	k8serrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/kubernetes/pkg/controller/podautoscaler/monitor"
	"k8s.io/kubernetes/pkg/controller/util/selectors"
)

const (
	key     = "ns/hpa"
	ourPods = "name=test-pod"
)

func newController() *HorizontalController {
	return &HorizontalController{
		mapper: mapper{}, monitor: monitor.New(), tolerance: 0.1, downscaleStabilisationWindow: seconds(300),
		recommendations: map[string][]timestampedRecommendation{},
		scaleUpEvents:   map[string][]timestampedScaleEvent{}, scaleDownEvents: map[string][]timestampedScaleEvent{},
		hpaSelectors: selectors.NewBiMultimap(),
	}
}

// onePass is a vector of a whole reconcile. Scale to zero is off: its rules change between revisions.
func onePass(r *random) object {
	pods, podTexts := r.pods(6, "cpu", true)
	ours, _ := lister{pods}.List(labels.SelectorFromSet(labels.Set{"name": "test-pod"}))
	current := int32(r.Intn(9))
	reported := current
	if current == 0 || r.chance(0.2) {
		reported = int32(1 + r.Intn(8))
	}
	least := int32(1 + r.Intn(4))
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "hpa", Namespace: "ns"}}
	hpa.Spec.ScaleTargetRef = autoscalingv2.CrossVersionObjectReference{Kind: "ReplicationController", Name: "rc", APIVersion: "v1"}
	hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas = &least, least+int32(r.Intn(12))
	hpa.Status.CurrentReplicas, hpa.Status.DesiredReplicas = current, current
	known, metricTexts := r.metrics(hpa, ours)
	behavior := r.behavior(hpa)
	conditions := []object{}
	if r.chance(0.3) {
		before := autoscalingv2.HorizontalPodAutoscalerCondition{Type: autoscalingv2.ScalingLimited, Status: v1.ConditionTrue, Reason: "TooManyReplicas"}
		hpa.Status.Conditions = append(hpa.Status.Conditions, before)
		conditions = append(conditions, conditionText(before))
	}
	failing := pick(r, "", "", "", "", "", "", "", "", "always", "conflict_once")
	before := []object{}
	if r.chance(0.3) {
		used := int32(r.Intn(200))
		current := autoscalingv2.MetricValueStatus{AverageUtilization: &used, AverageValue: milli(1)}
		hpa.Status.CurrentMetrics = append(hpa.Status.CurrentMetrics, autoscalingv2.MetricStatus{
			Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{Name: v1.ResourceCPU, Current: current},
		})
		before = append(before, object{"type": "Resource", "resource": "cpu", "utilization_percent": used, "average_value_milli": 1})
	}
	target := &scaleTarget{failsToRead: r.chance(0.03), failing: failing}
	selector := ourPods
	if r.chance(0.02) {
		selector = ""
	}
	target.scale = autoscalingv1.Scale{
		Spec:   autoscalingv1.ScaleSpec{Replicas: current},
		Status: autoscalingv1.ScaleStatus{Replicas: reported, Selector: selector},
	}

	controller, store, events := newController(), &statusStore{}, &recorder{}
	controller.scaleNamespacer, controller.hpaNamespacer, controller.eventRecorder = target, store, events
	controller.podLister = lister{pods}
	initialization, delay := pick[int64](r, 0, 60, 120, 300), pick[int64](r, 0, 10, 30)
	controller.replicaCalc = NewReplicaCalculator(known, lister{pods}, seconds(initialization), seconds(delay))
	others := r.otherAutoscalers(controller)
	ups, upTexts := r.events()
	downs, downTexts := r.events()
	controller.scaleUpEvents[key], controller.scaleDownEvents[key] = ups, downs
	var history any
	if r.chance(0.7) {
		controller.recommendations[key], history = r.recommendations()
	}

	entry := hpa.Status.DeepCopy()
	err := controller.reconcileAutoscaler(context.Background(), hpa, key)
	return object{
		"kind": "reconcile", "revision": "functions",
		"controller": object{
			"tolerance": controller.tolerance, "cpu_initialization_seconds": initialization,
			"initial_readiness_delay_seconds": delay, "downscale_stabilization_seconds": 300,
			"scale_up_limit_factor": scaleUpLimitFactor, "scale_up_limit_minimum": scaleUpLimitMinimum,
		},
		"features": object{"scale_to_zero": false, "configurable_tolerance": true, "pod_level_resources": false},
		"scale_target": object{
			"kind": "ReplicationController", "api_version": "v1", "name": "rc", "spec_replicas": current,
			"status_replicas": reported, "selector": selector, "get_error": target.failsToRead, "update_error": orNull(failing),
		},
		"hpa": object{
			"name": "hpa", "min_replicas": least, "max_replicas": hpa.Spec.MaxReplicas, "metrics": metricTexts, "behavior": behavior,
			"status": object{
				"current_replicas": current, "desired_replicas": current, "last_scale_time_offset_seconds": nil, "conditions": conditions,
				"current_metrics": before,
			},
		},
		"recommendations": history, "scale_up_events": upTexts, "scale_down_events": downTexts, "other_hpas": others,
		"pods": podTexts, "expect": outcome(entry, store, target, events, current, err),
	}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func conditionText(c autoscalingv2.HorizontalPodAutoscalerCondition) object {
	return object{"type": c.Type, "status": c.Status == v1.ConditionTrue, "reason": c.Reason}
}

func outcome(entry *autoscalingv2.HorizontalPodAutoscalerStatus, store *statusStore, target *scaleTarget, events *recorder, current int32, err error) object {
	status := entry
	if store.written != nil {
		status = &store.written.Status
	}
	conditions := []object{}
	for _, condition := range status.Conditions {
		conditions = append(conditions, conditionText(condition))
	}
	result := object{
		"conditions": conditions, "desired_replicas": status.DesiredReplicas, "scale_updated": target.written != nil,
		"reconcile_action": "none", "reconcile_error": "none", "event": nil, "status_written": store.written != nil,
		"cpu_utilization": nil,
	}
	for _, metric := range status.CurrentMetrics {
		if metric.Resource != nil && metric.Resource.Current.AverageUtilization != nil {
			result["cpu_utilization"] = *metric.Resource.Current.AverageUtilization
		}
	}
	if err != nil {
		result["reconcile_error"] = "internal"
	}
	if target.written != nil {
		result["desired_replicas"] = *target.written
		result["reconcile_action"] = "scale_down"
		if *target.written > current {
			result["reconcile_action"] = "scale_up"
		}
	}
	if events.saw("SuccessfulRescale") {
		result["event"] = object{"reason": "SuccessfulRescale", "new_size": result["desired_replicas"]}
	}
	return result
}

// metrics returns one to three metrics with different sources.
func (r *random) metrics(hpa *autoscalingv2.HorizontalPodAutoscaler, pods []*v1.Pod) (sources, []object) {
	known, texts := sources{}, []object{}
	for len(texts) == 0 || len(texts) < 3 && r.chance(0.4) {
		kind := pick(r, "Resource", "Resource", "ContainerResource", "Pods", "Object", "External")
		name, container := fmt.Sprintf("metric-%d", len(texts)), ""
		if kind == "ContainerResource" {
			container = containerName(pick(r, 0, 0, 0, 1))
		}
		if _, asked := known[resourceKey(container)]; asked {
			continue
		}
		spec, text := r.metric(kind, name, container)
		fails := r.chance(0.08)
		text["fetch_error"] = fails
		switch kind {
		case "Resource", "ContainerResource":
			used, samples := r.resources(pods, pick(r, 0.3, 1, 1, 2))
			used.fails = fails
			known[resourceKey(container)], text["samples"] = used, samples
		case "Pods":
			values, samples := r.values(pods)
			known[name], text["samples"] = source{fails: fails, pods: values}, samples
		default:
			values, samples := []int64{}, []object{}
			for len(values) == 0 || kind == "External" && r.chance(0.4) {
				value := int64(r.Intn(100000))
				values = append(values, value)
				samples = append(samples, object{"timestamp_offset_seconds": 0, "value_milli": value})
			}
			known[name], text["samples"] = source{fails: fails, values: values}, samples
		}
		hpa.Spec.Metrics, texts = append(hpa.Spec.Metrics, spec), append(texts, text)
	}
	return known, texts
}

func (r *random) metric(kind, name, container string) (autoscalingv2.MetricSpec, object) {
	spec := autoscalingv2.MetricSpec{Type: autoscalingv2.MetricSourceType(kind)}
	id := autoscalingv2.MetricIdentifier{Name: name}
	text := object{"type": kind, "metric": name}
	utilization, value := autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType
	average := autoscalingv2.AverageValueMetricType
	switch kind {
	case "Resource":
		target := r.target(text, utilization, utilization, utilization, average)
		spec.Resource = &autoscalingv2.ResourceMetricSource{Name: v1.ResourceCPU, Target: target}
		text["resource"] = "cpu"
	case "ContainerResource":
		target := r.target(text, utilization, utilization, utilization, average)
		spec.ContainerResource = &autoscalingv2.ContainerResourceMetricSource{Name: v1.ResourceCPU, Container: container, Target: target}
		text["resource"], text["container"] = "cpu", container
	case "Pods":
		spec.Pods = &autoscalingv2.PodsMetricSource{Metric: id, Target: r.target(text, average)}
	case "Object":
		spec.Object = &autoscalingv2.ObjectMetricSource{Metric: id, Target: r.target(text, average, value)}
	case "External":
		spec.External = &autoscalingv2.ExternalMetricSource{Metric: id, Target: r.target(text, average, value)}
	}
	return spec, text
}

func (r *random) target(text object, kinds ...autoscalingv2.MetricTargetType) autoscalingv2.MetricTarget {
	target := autoscalingv2.MetricTarget{Type: pick(r, kinds...)}
	percent, value := int32(1+r.Intn(120)), int64(1+r.Intn(30000))
	switch target.Type {
	case autoscalingv2.UtilizationMetricType:
		target.AverageUtilization = &percent
		text["target"] = object{"type": target.Type, "utilization_percent": percent}
		return target
	case autoscalingv2.AverageValueMetricType:
		target.AverageValue = milli(value)
	default:
		target.Value = milli(value)
	}
	text["target"] = object{"type": target.Type, "value_milli": value}
	return target
}

func (r *random) behavior(hpa *autoscalingv2.HorizontalPodAutoscaler) any {
	if r.chance(0.4) {
		return nil
	}
	up, upText := r.rules(true)
	down, downText := r.rules(false)
	upText["tolerance"], downText["tolerance"] = nil, nil
	if r.chance(0.3) {
		tolerance := resource.MustParse("0.05")
		up.Tolerance, upText["tolerance"] = &tolerance, 0.05
	}
	if r.chance(0.3) {
		tolerance := resource.MustParse("0.2")
		down.Tolerance, downText["tolerance"] = &tolerance, 0.2
	}
	hpa.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleUp: up, ScaleDown: down}
	return object{"scale_up": upText, "scale_down": downText}
}

// otherAutoscalers returns, rarely, another one that selects the same pods.
func (r *random) otherAutoscalers(controller *HorizontalController) []object {
	controller.hpaSelectors.PutSelector(selectors.Key{Name: "hpa", Namespace: "ns"}, labels.Nothing())
	if !r.chance(0.03) {
		return []object{}
	}
	selector, _ := labels.Parse(ourPods)
	controller.hpaSelectors.PutSelector(selectors.Key{Name: "other", Namespace: "ns"}, selector)
	return []object{{"name": "other", "selector": ourPods}}
}

// scaleTarget is the object that is scaled.
type scaleTarget struct {
	scaleclient.ScaleInterface
	scale       autoscalingv1.Scale
	failsToRead bool
	// Which updates fail: "", always or conflict_once.
	failing string
	written *int32
}

func (t *scaleTarget) Scales(string) scaleclient.ScaleInterface { return t }

func (t *scaleTarget) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	if t.failsToRead {
		return nil, errors.New("cannot be read")
	}
	return t.scale.DeepCopy(), nil
}

func (t *scaleTarget) Update(_ context.Context, of schema.GroupResource, scale *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	switch t.failing {
	case "always":
		return nil, errors.New("cannot be written")
	case "conflict_once":
		t.failing = ""
		return nil, k8serrors.NewConflict(of, scale.Name, errors.New("somebody was faster"))
	}
	replicas := scale.Spec.Replicas
	t.written = &replicas
	return scale, nil
}

func (*scaleTarget) Patch(context.Context, schema.GroupVersionResource, string, types.PatchType, []byte, metav1.PatchOptions) (*autoscalingv1.Scale, error) {
	return nil, errors.New("nobody patches")
}

type statusStore struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	written *autoscalingv2.HorizontalPodAutoscaler
}

func (s *statusStore) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return s
}

func (s *statusStore) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	s.written = hpa
	return hpa, nil
}

type mapper struct{ apimeta.RESTMapper }

func (mapper) RESTMappings(schema.GroupKind, ...string) ([]*apimeta.RESTMapping, error) {
	kind := schema.GroupVersionResource{Version: "v1", Resource: "replicationcontrollers"}
	return []*apimeta.RESTMapping{{Resource: kind}}, nil
}

type recorder struct{ reasons []string }

func (r *recorder) saw(reason string) bool {
	for _, seen := range r.reasons {
		if seen == reason {
			return true
		}
	}
	return false
}

func (r *recorder) Event(_ runtime.Object, _, reason, _ string) {
	r.reasons = append(r.reasons, reason)
}

func (r *recorder) Eventf(_ runtime.Object, _, reason, _ string, _ ...any) {
	r.reasons = append(r.reasons, reason)
}

func (r *recorder) AnnotatedEventf(runtime.Object, map[string]string, string, string, string, ...any) {
}
