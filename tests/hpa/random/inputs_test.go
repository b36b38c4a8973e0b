package podautoscaler

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

// object is a JSON object.
type object = map[string]any

// longAgo is the format's value of an instant that is not set.
const longAgo = -1000000000

// random generates inputs of the controller, each with its JSON. No instant is a whole period away from now, because the
// controller reads the clock while it runs.
type random struct {
	*rand.Rand
	now time.Time
}

func (r *random) chance(p float64) bool { return r.Float64() < p }

func pick[T any](r *random, values ...T) T { return values[r.Intn(len(values))] }

func (r *random) at(offsetSeconds int64) time.Time {
	if offsetSeconds == longAgo {
		return time.Time{}
	}
	return r.now.Add(time.Duration(offsetSeconds) * time.Second)
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func milli(n int64) *resource.Quantity { return resource.NewMilliQuantity(n, resource.DecimalSI) }

// pods returns one to most pods, rarely none. With labels, a few do not match the selector name=test-pod.
func (r *random) pods(most int, name string, labelled bool) ([]*v1.Pod, []object) {
	pods, texts := []*v1.Pod{}, []object{}
	count := 1 + r.Intn(most)
	if r.chance(0.02) {
		count = 0
	}
	for i := range count {
		pod, text := r.pod(fmt.Sprintf("pod-%d", i), v1.ResourceName(name))
		if labelled {
			pod.Labels = map[string]string{"name": "test-pod"}
			if r.chance(0.1) {
				pod.Labels["name"] = "other"
			}
			text["labels"] = pod.Labels
		}
		pods, texts = append(pods, pod), append(texts, text)
	}
	return pods, texts
}

// The phase Succeeded is left out: revisions of the controller treat it differently.
func (r *random) pod(name string, request v1.ResourceName) (*v1.Pod, object) {
	running := v1.PodRunning
	phase := pick(r, running, running, running, running, running, running, v1.PodPending, v1.PodFailed, "")
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"},
		Status:     v1.PodStatus{Phase: phase},
	}
	text := object{
		"name": name, "phase": phase, "ready": nil, "ready_transition_offset_seconds": nil,
		"start_time_offset_seconds": nil, "deletion_timestamp_offset_seconds": nil,
	}
	offsets := []int64{longAgo, longAgo, longAgo, -403, -203, -147, -97, -63, -31, -17, -7}
	if r.chance(0.93) {
		since, ready, status := pick(r, offsets...), r.chance(0.75), v1.ConditionFalse
		if ready {
			status = v1.ConditionTrue
		}
		transition := metav1.NewTime(r.at(since))
		pod.Status.Conditions = []v1.PodCondition{{Type: v1.PodReady, Status: status, LastTransitionTime: transition}}
		text["ready"], text["ready_transition_offset_seconds"] = ready, since
	}
	if r.chance(0.93) {
		offset := pick(r, offsets...)
		started := metav1.NewTime(r.at(offset))
		pod.Status.StartTime, text["start_time_offset_seconds"] = &started, offset
	}
	if r.chance(0.07) {
		deleted := metav1.NewTime(r.at(-13))
		pod.DeletionTimestamp, text["deletion_timestamp_offset_seconds"] = &deleted, -13
	}
	containers := []object{}
	for i := range 1 + r.Intn(2) {
		container := v1.Container{Name: containerName(i)}
		requested := object{"name": container.Name, "request_milli": nil}
		if r.chance(0.97) {
			m := pick[int64](r, 100, 250, 333, 500, 700, 1000, 1024, 2000)
			container.Resources.Requests = v1.ResourceList{request: *milli(m)}
			requested["request_milli"] = m
		}
		pod.Spec.Containers = append(pod.Spec.Containers, container)
		containers = append(containers, requested)
	}
	text["containers"] = containers
	return pod, text
}

func containerName(i int) string { return fmt.Sprintf("container%d", i+1) }

// sampled returns some of the pods, and sometimes one that does not exist.
func (r *random) sampled(pods []*v1.Pod) []*v1.Pod {
	sampled := []*v1.Pod{}
	for _, pod := range pods {
		if r.chance(0.85) {
			sampled = append(sampled, pod)
		}
	}
	if r.chance(0.1) {
		stranger := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "stranger"}}
		stranger.Spec.Containers = []v1.Container{{Name: containerName(0)}}
		sampled = append(sampled, stranger)
	}
	return sampled
}

func (r *random) sample(pod string) (metricsclient.PodMetric, object) {
	at, window := pick[int64](r, longAgo, -5, -11, -29, -71, -301), pick[int64](r, 15, 30, 60)
	text := object{"pod": pod, "timestamp_offset_seconds": at, "window_seconds": window}
	return metricsclient.PodMetric{Timestamp: r.at(at), Window: seconds(window)}, text
}

// resources returns the usage by container, some of it not reported.
func (r *random) resources(pods []*v1.Pod, scale float64) (source, []object) {
	source, texts := source{resources: map[string]containers{}}, []object{}
	for _, pod := range r.sampled(pods) {
		sample, text := r.sample(pod.Name)
		used := containers{sample: sample, milli: map[string]int64{}}
		list := []object{}
		for _, container := range pod.Spec.Containers {
			if r.chance(0.03) {
				used.isPartial = true
				list = append(list, object{"name": "", "usage_milli": nil})
				continue
			}
			used.milli[container.Name] = int64(float64(r.Intn(1500)) * scale)
			list = append(list, object{"name": container.Name, "usage_milli": used.milli[container.Name]})
		}
		// A pod without containers.
		if r.chance(0.03) {
			used.isPartial, list = true, []object{}
			clear(used.milli)
		}
		text["containers"] = list
		source.resources[pod.Name], texts = used, append(texts, text)
	}
	return source, texts
}

func (r *random) values(pods []*v1.Pod) (metricsclient.PodMetricsInfo, []object) {
	values, texts := metricsclient.PodMetricsInfo{}, []object{}
	for _, pod := range r.sampled(pods) {
		sample, text := r.sample(pod.Name)
		sample.Value = int64(r.Intn(40000))
		text["value_milli"] = sample.Value
		values[pod.Name], texts = sample, append(texts, text)
	}
	return values, texts
}

// rules returns scaling rules; scale-down may have no window.
func (r *random) rules(up bool) (*autoscalingv2.HPAScalingRules, object) {
	most := autoscalingv2.MaxChangePolicySelect
	choice := pick(r, most, most, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect)
	rules := &autoscalingv2.HPAScalingRules{SelectPolicy: &choice}
	text := object{"select_policy": choice, "stabilization_window_seconds": nil}
	if up || r.chance(0.8) {
		window := pick[int32](r, 0, 0, 30, 60, 180, 300, 600)
		rules.StabilizationWindowSeconds, text["stabilization_window_seconds"] = &window, window
	}
	policies := []object{}
	for range 1 + r.Intn(3) {
		policy := autoscalingv2.HPAScalingPolicy{
			Type:          pick(r, autoscalingv2.PodsScalingPolicy, autoscalingv2.PercentScalingPolicy),
			Value:         pick[int32](r, 1, 2, 3, 4, 5, 10, 20, 33, 50, 67, 100, 200, 900),
			PeriodSeconds: pick[int32](r, 15, 30, 60, 120, 600, 1800),
		}
		if !up && policy.Type == autoscalingv2.PercentScalingPolicy {
			policy.Value = min(policy.Value, 100)
		}
		rules.Policies = append(rules.Policies, policy)
		policies = append(policies, object{
			"type": policy.Type, "value": policy.Value, "period_seconds": policy.PeriodSeconds,
		})
	}
	text["policies"] = policies
	return rules, text
}

func (r *random) events() ([]timestampedScaleEvent, []object) {
	events, texts := []timestampedScaleEvent{}, []object{}
	for range r.Intn(4) {
		change, at := int32(1+r.Intn(9)), pick[int64](r, -4, -13, -22, -45, -77, -233, -911, -2001)
		events = append(events, timestampedScaleEvent{change, r.at(at), false})
		texts = append(texts, object{"replica_change": change, "timestamp_offset_seconds": at})
	}
	return events, texts
}

func (r *random) recommendations() ([]timestampedRecommendation, []object) {
	list, texts := []timestampedRecommendation{}, []object{}
	for range r.Intn(6) {
		replicas, at := int32(r.Intn(20)), pick[int64](r, -4, -13, -22, -45, -77, -233, -290, -333, -911, -2001)
		list = append(list, timestampedRecommendation{replicas, r.at(at)})
		texts = append(texts, object{"replicas": replicas, "timestamp_offset_seconds": at})
	}
	return list, texts
}

// lister returns pods in a fixed order, so that the first of several errors is always the same.
type lister struct{ pods []*v1.Pod }

func (l lister) List(selector labels.Selector) ([]*v1.Pod, error) {
	selected := []*v1.Pod{}
	for _, pod := range l.pods {
		if selector.Matches(labels.Set(pod.Labels)) {
			selected = append(selected, pod)
		}
	}
	return selected, nil
}

func (l lister) Pods(string) corelisters.PodNamespaceLister { return l }

func (lister) Get(string) (*v1.Pod, error) { return nil, errors.New("nobody asks") }

// containers is the usage of one pod.
type containers struct {
	sample metricsclient.PodMetric
	milli  map[string]int64
	// A container reported nothing.
	isPartial bool
}

// source is the source of one metric.
type source struct {
	fails     bool
	resources map[string]containers
	pods      metricsclient.PodMetricsInfo
	values    []int64
}

// sources responds as the real clients do. A single entry without a name is the only metric.
type sources map[string]source

func (s sources) of(name string) (source, error) {
	found, ok := s[name]
	if !ok {
		found = s[""]
	}
	if found.fails {
		return found, errors.New("cannot fetch")
	}
	return found, nil
}

func resourceKey(container string) string { return "resource " + container }

func (s sources) GetResourceMetric(_ context.Context, _ v1.ResourceName, _ string, _ labels.Selector, container string) (metricsclient.PodMetricsInfo, time.Time, error) {
	found, err := s.of(resourceKey(container))
	if err == nil && len(found.resources) == 0 {
		err = errors.New("no metrics returned from resource metrics API")
	}
	used := metricsclient.PodMetricsInfo{}
	for pod, of := range found.resources {
		metric, known := of.sample, !of.isPartial
		if container != "" {
			metric.Value, known = of.milli[container]
		} else {
			for _, use := range of.milli {
				metric.Value += use
			}
		}
		if known {
			used[pod] = metric
		}
	}
	return used, time.Time{}, err
}

func (s sources) GetRawMetric(name string, _ string, _ labels.Selector, _ labels.Selector) (metricsclient.PodMetricsInfo, time.Time, error) {
	found, err := s.of(name)
	if err == nil && len(found.pods) == 0 {
		err = errors.New("no metrics returned from custom metrics API")
	}
	copied := metricsclient.PodMetricsInfo{}
	for pod, metric := range found.pods {
		copied[pod] = metric
	}
	return copied, time.Time{}, err
}

func (s sources) GetObjectMetric(name string, _ string, _ *autoscalingv2.CrossVersionObjectReference, _ labels.Selector) (int64, time.Time, error) {
	found, err := s.of(name)
	if err != nil {
		return 0, time.Time{}, err
	}
	return found.values[0], time.Time{}, nil
}

func (s sources) GetExternalMetric(name string, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	found, err := s.of(name)
	if err == nil && len(found.values) == 0 {
		err = errors.New("no metrics returned from external metrics API")
	}
	return found.values, time.Time{}, err
}
